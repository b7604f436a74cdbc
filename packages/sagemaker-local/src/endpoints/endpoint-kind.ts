import { rm } from 'node:fs/promises'
import { ApiError } from '@millrace/api/errors'
import type { JobContext, JobKind } from '../runner/job-kind.ts'
import { S3Error } from '../s3/s3-error.ts'
import { deleteLogStreams } from '../state/log-stream-store.ts'
import { removeResource } from '../state/resource-store.ts'
import { deleteTask } from '../state/task-store.ts'
import {
  type Endpoint,
  type Fleet,
  type FleetServer,
  findEndpoint,
  updateEndpoint,
} from './endpoint.ts'
import { endpointLogGroup, FleetServers } from './fleet-servers.ts'
import { NoAnswer } from './server-keeper.ts'

/** Endpoints, from Creating until they are deleted. */
export const endpointKind: JobKind = {
  kind: 'endpoint',
  async run(job) {
    const servers = new FleetServers(job, findEndpoint(job.state, job.name)?.progress.faults ?? {})
    adopt(job, servers)
    for (;;) {
      job.signal.throwIfAborted()
      const endpoint = findEndpoint(job.state, job.name)
      if (!endpoint) return
      const { document, progress } = endpoint
      if (document.EndpointStatus === 'Deleting') return await remove(job, servers, endpoint)
      if (progress.retired) await retire(job, servers, progress.retired)
      else if (progress.next) await bringUp(job, servers, progress.next)
      else if (progress.current && document.EndpointStatus === 'Updating') {
        await scale(job, servers, progress.current)
      } else await job.changed()
    }
  },
  fail(job, error) {
    updateEndpoint(job.state, job.name, ({ document }) => {
      document.EndpointStatus = 'Failed'
      document.FailureReason = `InternalServerError: ${reasonOf(error)}`
    })
  },
}

/** Takes over what another runner has left; what it was about to add is begun anew. */
function adopt(job: JobContext, servers: FleetServers): void {
  const endpoint = updateEndpoint(job.state, job.name, ({ document, progress }) => {
    const { current, next } = progress
    if (!current || next || document.EndpointStatus !== 'Updating') return false
    const unready = current.servers.filter(({ isReady }) => !isReady)
    current.servers = current.servers.filter(({ isReady }) => isReady)
    progress.retired = [...(progress.retired ?? []), { ...current, servers: unready }]
  })
  if (endpoint?.progress.current) servers.adopt(endpoint.progress.current)
}

/** Starts the servers of a new configuration; only when all of them answer, they are the ones. */
async function bringUp(job: JobContext, servers: FleetServers, fleet: Fleet): Promise<void> {
  const wanted = fleet.variants.flatMap(({ variant, count }) =>
    Array.from(
      { length: count },
      (_, index): FleetServer => ({
        variant: variant.VariantName,
        index,
        port: 0,
        isReady: false,
      }),
    ),
  )
  updateEndpoint(job.state, job.name, ({ progress }) => {
    if (progress.next) progress.next.servers = wanted
  })
  const failure = await failureOf(job, () => servers.start({ ...fleet, servers: wanted }, wanted))
  updateEndpoint(job.state, job.name, ({ document, progress }) => {
    const { current, next } = progress
    if (!next) return false
    delete progress.next
    const loser = failure === undefined ? current : next
    if (loser) progress.retired = [...(progress.retired ?? []), loser]
    if (failure === undefined) {
      if (current) progress.previousConfigName = current.configName
      progress.current = next
      document.EndpointStatus = 'InService'
      document.EndpointConfigName = next.configName
      describeFleet(document, next)
      return
    }
    document.FailureReason = failure
    document.EndpointStatus = current ? 'RollingBack' : 'Failed'
  })
}

/** More or fewer servers of the configuration that is in service. */
async function scale(job: JobContext, servers: FleetServers, fleet: Fleet): Promise<void> {
  const isWanted = ({ variant, index }: FleetServer) =>
    index < (fleet.variants.find((one) => one.variant.VariantName === variant)?.count ?? 0)
  const added = fleet.variants.flatMap(({ variant: { VariantName }, count }) =>
    Array.from(
      { length: count },
      (_, index): FleetServer => ({ variant: VariantName, index, port: 0, isReady: false }),
    ).filter(
      ({ index }) =>
        !fleet.servers.some((one) => one.variant === VariantName && one.index === index),
    ),
  )
  const removed = fleet.servers.filter((server) => !isWanted(server))
  updateEndpoint(job.state, job.name, ({ progress }) => {
    if (!progress.current) return false
    progress.current.servers = [...progress.current.servers.filter(isWanted), ...added]
  })
  await servers.end(fleet, removed)
  const failure = await failureOf(job, () => servers.start(fleet, added))
  if (failure !== undefined) await servers.end(fleet, added)
  updateEndpoint(job.state, job.name, ({ document, progress }) => {
    document.EndpointStatus = 'InService'
    if (failure === undefined || !progress.current) return
    document.FailureReason = failure
    const isAdded = (server: FleetServer) =>
      added.some(({ variant, index }) => variant === server.variant && index === server.index)
    progress.current.servers = progress.current.servers.filter((server) => !isAdded(server))
    for (const variant of progress.current.variants) {
      const { VariantName } = variant.variant
      variant.count = progress.current.servers.filter((one) => one.variant === VariantName).length
    }
  })
}

async function retire(job: JobContext, servers: FleetServers, fleets: Fleet[]): Promise<void> {
  for (const fleet of fleets) await servers.end(fleet, fleet.servers)
  updateEndpoint(job.state, job.name, ({ document, progress }) => {
    delete progress.retired
    if (document.EndpointStatus === 'RollingBack') document.EndpointStatus = 'InService'
  })
}

async function remove(job: JobContext, servers: FleetServers, endpoint: Endpoint): Promise<void> {
  const { current, next, retired = [] } = endpoint.progress
  for (const fleet of [current, next, ...retired]) {
    if (fleet) await servers.end(fleet, fleet.servers)
  }
  deleteLogStreams(job.state, endpointLogGroup(job.name), '')
  await rm(job.directory, { recursive: true, force: true })
  // Together: an endpoint of the same name that is made next has a task of its own.
  job.state.transaction(() => {
    removeResource(job.state, 'endpoint', job.name)
    deleteTask(job.state, job.number)
  })
}

function describeFleet(document: Endpoint['document'], { config }: Fleet): void {
  const capture = config.DataCaptureConfig
  if (!capture) {
    delete document.DataCaptureConfig
    return
  }
  const isOn = capture.EnableCapture !== false
  document.DataCaptureConfig = {
    EnableCapture: isOn,
    CaptureStatus: isOn ? 'Started' : 'Stopped',
    CurrentSamplingPercentage: capture.InitialSamplingPercentage,
    DestinationS3Uri: capture.DestinationS3Uri,
    KmsKeyId: capture.KmsKeyId ?? '',
  }
}

/** What a client is told of a failure; undefined when there is none. */
async function failureOf(job: JobContext, work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    job.signal.throwIfAborted()
    if (error instanceof NoAnswer || error instanceof ApiError || error instanceof S3Error) {
      return error.message
    }
    return `InternalServerError: ${reasonOf(error)}`
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
