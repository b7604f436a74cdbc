import type { Deployment } from './deployment.ts'
import prices from './prices.json' with { type: 'json' }

/** The regions that there are prices of. */
export const REGIONS = ['us-east-1', 'eu-central-1'] as const

/** A part of the bill, in US dollars a month. */
export interface CostLine {
  what: string
  dollars: number
}

const HOURS = 730
const ARTIFACT_GIGABYTES = 50
const LOG_GIGABYTES = 5
const NAT_GIGABYTES = 20
const ZONES = 2
const ENDPOINTS = 6

/**
 * What a profile costs in a month in which it is up and little used: one task or instance, 50 GB of
 * artifacts, 5 GB of logs. An estimate from a table of prices, not an offer.
 */
export function estimate(
  { profile, database, allowedCidrs }: Deployment,
  region: (typeof REGIONS)[number],
): CostLine[] {
  const price = prices.regions[region]
  const { everywhere } = prices
  const storage = [
    {
      what: `artifacts, ${ARTIFACT_GIGABYTES} GB`,
      dollars: ARTIFACT_GIGABYTES * price.objectGigabyteMonth,
    },
    { what: `logs, ${LOG_GIGABYTES} GB`, dollars: LOG_GIGABYTES * price.logGigabyte },
  ]
  if (profile === 'single') {
    const hourly = price.instanceHour + price.addressHour
    return [
      { what: 'instance t4g.small with its address', dollars: hourly * HOURS },
      { what: 'disks, 36 GB', dollars: 36 * price.diskGigabyteMonth },
      { what: 'backups, 20 GB', dollars: 20 * price.backupGigabyteMonth },
      ...(database === 'sqlite'
        ? []
        : [
            { what: `${database} on db.t4g.micro`, dollars: price.databaseMicroHour * HOURS },
            { what: 'its disk, 20 GB', dollars: 20 * price.databaseGigabyteMonth },
            { what: 'secret', dollars: everywhere.secretMonth },
          ]),
      ...storage,
      {
        what: 'alarms and dashboard',
        dollars: 3 * everywhere.alarmMonth + everywhere.dashboardMonth,
      },
    ]
  }
  const copies = profile === 'regulated' ? 2 : 1
  const task = 0.5 * price.taskProcessorHour + price.taskGigabyteHour
  const balancers = profile === 'regulated' ? 2 : 1
  const balancer = price.loadBalancerHour + price.loadBalancerUnitHour
  return [
    {
      what: 'one task, 0.5 vCPU and 1 GiB (a second under load costs the same again)',
      dollars: task * HOURS,
    },
    {
      what: `${database} on db.t4g.small${copies === 2 ? ' with a standby' : ''}`,
      dollars: copies * price.databaseSmallHour * HOURS,
    },
    { what: 'its disk, 20 GB', dollars: copies * 20 * price.databaseGigabyteMonth },
    { what: 'backups, 20 GB', dollars: 20 * price.backupGigabyteMonth },
    {
      what: balancers === 2 ? 'two load balancers' : 'load balancer',
      dollars: balancers * balancer * HOURS,
    },
    ...(allowedCidrs.length > 0
      ? [{ what: 'its addresses', dollars: ZONES * price.addressHour * HOURS }]
      : []),
    ...waysOut(profile, price),
    ...storage,
    { what: 'key and secret', dollars: everywhere.keyMonth + everywhere.secretMonth },
    ...(profile === 'standard'
      ? [{ what: 'firewall', dollars: everywhere.firewallMonth + 4 * everywhere.firewallRuleMonth }]
      : []),
    { what: 'container insights', dollars: everywhere.insightsMonth },
    {
      what: 'alarms and dashboard',
      dollars: 9 * everywhere.alarmMonth + everywhere.dashboardMonth,
    },
  ]
}

function waysOut(
  profile: Deployment['profile'],
  price: (typeof prices.regions)['us-east-1'],
): CostLine[] {
  if (profile === 'regulated') {
    const dollars = ENDPOINTS * ZONES * price.endpointHour * HOURS
    return [{ what: `${ENDPOINTS} endpoints in ${ZONES} zones`, dollars }]
  }
  const dollars = (price.natHour + price.addressHour) * HOURS + NAT_GIGABYTES * price.natGigabyte
  return [{ what: `NAT gateway, ${NAT_GIGABYTES} GB`, dollars }]
}

/** Where AWS says the prices of a region that are not known from anywhere else. */
export function pricePages(region: (typeof REGIONS)[number]): string[] {
  const { publishedElsewhere, checkAt } = prices
  const known: readonly string[] = publishedElsewhere[region]
  const unsure = Object.entries(checkAt).filter(([price]) => !known.includes(price))
  return [...new Set(unsure.map(([, page]) => page))].sort()
}

/** The estimate as people read it. */
export function estimateText(deployment: Deployment, region: (typeof REGIONS)[number]): string {
  const lines = estimate(deployment, region)
  const total = lines.reduce((sum, { dollars }) => sum + dollars, 0)
  return [
    `About ${total.toFixed(0)} US dollars a month in ${region}, for ${HOURS} hours of little use.`,
    'Not counted: traffic to the internet and between zones, requests, users of Cognito, tax; no free tier and no discount.',
    `An estimate, not an offer. Prices of ${prices.date}: ${prices.source}.`,
    `Check them at ${pricePages(region).join(' ')}`,
    ...lines.map(({ what, dollars }) => `  ${dollars.toFixed(2).padStart(8)}  ${what}`),
    '',
  ].join('\n')
}
