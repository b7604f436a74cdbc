import { statSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createClient } from '@millrace/client/client'
import { openSqliteFile } from '../src/db/sqlite-dialect.ts'
import { findDifferences } from './ledger-check.ts'
import { type Ledger, newLedger, startLogging } from './logging-clients.ts'
import { seededRandom } from './seeded-random.ts'
import { databasePath, type ServerProcess, startServerProcess } from './server-process.ts'
import { findBrokenInvariants, sqliteFile } from './shared-database.ts'
import { temporaryFolder } from './temporary-folder.ts'

/**
 * Kills a server (`kill -9`) while clients log to it, again and again on the same database, and
 * compares what is there after each restart with what was acknowledged:
 * `node packages/server/test/kill-campaign.ts --kills 200 [--clients 8] [--seed 1]`
 */
export interface CampaignOptions {
  kills: number
  clients: number
  seed: number
  /** Longest time between the first write and the kill. */
  lifeMaxMs: number
  report?: (line: string) => void
}

export interface CampaignFigures {
  kills: number
  acknowledged: number
  /** Writes whose client was not told; each may be there or not. */
  unanswered: number
  differences: string[]
  /** From the start of the process to its first line, after every kill. */
  startMs: number[]
  /** Until the file with its whole write-ahead log was open and had answered a query. */
  openMs: number[]
  walBytesMax: number
}

/** Every so many kills the file itself is looked at before the server opens it again. */
const INSPECT_EVERY = 10

export async function runKillCampaign(options: CampaignOptions): Promise<CampaignFigures> {
  const { kills, seed, report = () => undefined } = options
  const random = seededRandom(seed)
  await using folder = await temporaryFolder()
  const path = databasePath(folder.path)
  const figures: CampaignFigures = {
    kills,
    acknowledged: 0,
    unanswered: 0,
    differences: [],
    startMs: [],
    openMs: [],
    walBytesMax: 0,
  }
  const ledgers: Ledger[] = []
  let server = await startServerProcess({ folder: folder.path })
  try {
    for (let kill = 0; kill < kills; kill++) {
      const ledger = await logUntilKilled(server, kill, random.next(), options)
      ledgers.push(ledger)
      figures.walBytesMax = Math.max(figures.walBytesMax, sizeOf(`${path}-wal`))
      if (kill % INSPECT_EVERY === INSPECT_EVERY - 1) {
        figures.openMs.push(timeOpening(path))
        figures.differences.push(...(await findBrokenInvariants(sqliteFile(path))))
      }
      if (random.chance(0.05)) await killWhileStarting(folder.path, random.below(600))
      server = await startServerProcess({ folder: folder.path })
      figures.startMs.push(server.startMs)
      const differences = await findDifferences(clientOf(server), server.url, ledger)
      figures.differences.push(...differences.map((line) => `kill ${kill}: ${line}`))
      figures.acknowledged += ledger.acknowledged
      figures.unanswered += countUnknown(ledger)
      report(`kill ${kill + 1}: ${ledger.acknowledged} acknowledged, ${differences.length} wrong`)
    }
    for (const [kill, ledger] of ledgers.entries()) {
      const differences = await findDifferences(clientOf(server), server.url, ledger)
      figures.differences.push(...differences.map((line) => `at the end, kill ${kill}: ${line}`))
    }
    const { code } = await server.terminate()
    if (code !== 0) figures.differences.push(`the last server ended with ${code}`)
    figures.differences.push(...(await findBrokenInvariants(sqliteFile(path))))
  } finally {
    await server.kill()
  }
  return figures
}

function clientOf({ url }: ServerProcess) {
  return createClient({ baseUrl: url })
}

async function logUntilKilled(
  server: ServerProcess,
  kill: number,
  lifeShare: number,
  { clients, seed, lifeMaxMs }: CampaignOptions,
): Promise<Ledger> {
  const client = clientOf(server)
  const { experiment_id } = await client.experiments.create({ name: `kill ${kill}` })
  const model = `kill-${kill}`
  await client.registeredModels.create({ name: model })
  const ledger = newLedger(experiment_id, model)
  const { ended } = startLogging({ port: server.port, ledger, clients, seed: seed * 10_000 + kill })
  await wait(30 + lifeShare * lifeMaxMs)
  await server.kill()
  await ended
  return ledger
}

/** A server that is killed before it has finished starting must not stand in the next one's way. */
async function killWhileStarting(folder: string, afterMs: number): Promise<void> {
  const started = await Promise.allSettled([startServerProcess({ folder, killAfterMs: afterMs })])
  for (const result of started) if (result.status === 'fulfilled') await result.value.kill()
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

function timeOpening(path: string): number {
  const startedMs = performance.now()
  const sqlite = openSqliteFile(path, { synchronous: 'full', queryOnly: false })
  sqlite.prepare('select count(*) from run').get()
  const ms = performance.now() - startedMs
  sqlite.close()
  return ms
}

function countUnknown({ runs, unknownRuns, versions, models }: Ledger): number {
  let count = unknownRuns.length
  for (const { points, batches, progress, artifacts, finished } of runs) {
    const outcomes = [...points.values(), ...batches.values(), finished]
    outcomes.push(...progress.map(([, outcome]) => outcome))
    outcomes.push(...[...artifacts.values()].map(([, outcome]) => outcome))
    count += outcomes.filter((outcome) => outcome === 'unknown').length
  }
  count += [...versions.values()].filter((version) => version === undefined).length
  return count + [...models.values()].filter((outcome) => outcome === 'unknown').length
}

function quantiles(values: number[]): string {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(0)
  return `median ${at(0.5)} ms, 95 % ${at(0.95)} ms, longest ${at(1)} ms`
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '200' },
      clients: { type: 'string', default: '8' },
      seed: { type: 'string', default: '1' },
    },
  })
  const figures = await runKillCampaign({
    kills: Number(values.kills),
    clients: Number(values.clients),
    seed: Number(values.seed),
    lifeMaxMs: 1500,
    report: (line) => console.log(line),
  })
  const { kills, acknowledged, unanswered, differences, startMs, openMs, walBytesMax } = figures
  console.log(`${kills} kills, ${acknowledged} writes acknowledged, ${unanswered} unanswered`)
  console.log(`until the server listened again: ${quantiles(startMs)}`)
  console.log(`until the database was open: ${quantiles(openMs)}, log up to ${walBytesMax} bytes`)
  console.log(
    differences.length === 0 ? 'nothing lost, doubled or half done' : differences.join('\n'),
  )
  process.exitCode = differences.length === 0 ? 0 : 1
}

if (import.meta.main) await main()
