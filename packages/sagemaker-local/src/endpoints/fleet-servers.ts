import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { JobContext } from '../runner/job-kind.ts'
import { insertLogStream } from '../state/log-stream-store.ts'
import { type Fleet, type FleetServer, listEndpoints, updateEndpoint } from './endpoint.ts'
import { prepareServer } from './prepare-server.ts'
import { endServer, NoAnswer, ServerKeeper } from './server-keeper.ts'

const STARTUP_SECONDS = 240
const MIB = 2 ** 20

/** Where CloudWatch has the logs of an endpoint. */
export function endpointLogGroup(name: string): string {
  return `/aws/sagemaker/Endpoints/${name}`
}

/** The name of a server's log, and the file that it is in. */
export function serverLog(job: Pick<JobContext, 'directory'>, fleet: number, server: FleetServer) {
  const instance = `i-${fleet.toString(16).padStart(8, '0')}${server.index.toString(16).padStart(9, '0')}`
  return {
    stream: `${server.variant}/${instance}`,
    file: join(serverDirectory(job, fleet, server), 'output.log'),
  }
}

/** The servers of an endpoint as this runner keeps them. */
export class FleetServers {
  readonly #job: JobContext
  readonly #faults: Record<string, string>
  readonly #keepers = new Map<string, ServerKeeper>()

  constructor(job: JobContext, faults: Record<string, string>) {
    this.#job = job
    this.#faults = faults
  }

  /** Takes care of servers that were started before. */
  adopt(fleet: Fleet): void {
    for (const server of fleet.servers) this.#keep(fleet, server)
  }

  /**
   * Makes and starts servers of a fleet that are recorded in it, and waits until all of them answer.
   *
   * @throws ApiError, S3Error or Error with `FailureReason`'s text when one of them does not
   */
  async start(fleet: Fleet, servers: FleetServer[]): Promise<void> {
    const delaySeconds = Number(this.#faults['start-delay-seconds'] ?? 0)
    if (delaySeconds > 0) await wait(delaySeconds * 1000, undefined, { signal: this.#job.signal })
    for (const server of servers) await this.#prepare(fleet, server)
    await Promise.all(
      servers.map(async (server) => {
        try {
          await this.#keep(fleet, server).ready
        } catch (error) {
          if (!(error instanceof NoAnswer)) throw error
          throw new NoAnswer(
            `The primary container for production variant ${server.variant} did not pass the ping health check. ` +
              `Please check CloudWatch logs for this endpoint (${endpointLogGroup(this.#job.name)}). ${error.message}`,
          )
        }
      }),
    )
  }

  /** Ends servers and removes their files. */
  async end(fleet: Fleet, servers: FleetServer[]): Promise<void> {
    await Promise.all(
      servers.map(async (server) => {
        const key = keyOf(fleet.number, server)
        const directory = serverDirectory(this.#job, fleet.number, server)
        await this.#keepers.get(key)?.stop()
        this.#keepers.delete(key)
        await endServer(directory, this.#job.settings.environment, this.#job.signal)
        for (const name of ['ml', 'tmp', 'pipes', 'plan.json', 'spec.json']) {
          await rm(join(directory, name), { recursive: true, force: true })
        }
      }),
    )
  }

  async #prepare(fleet: Fleet, server: FleetServer): Promise<void> {
    const found = fleet.variants.find(({ variant }) => variant.VariantName === server.variant)
    if (!found) throw new Error(`The fleet has no variant ${server.variant}.`)
    const { variant, container, isIsolated = false } = found
    const directory = serverDirectory(this.#job, fleet.number, server)
    await endServer(directory, this.#job.settings.environment, this.#job.signal)
    await rm(directory, { recursive: true, force: true })
    const { stream, file } = serverLog(this.#job, fleet.number, server)
    insertLogStream(this.#job.state, {
      group: endpointLogGroup(this.#job.name),
      name: stream,
      file,
      createdMs: Date.now(),
    })
    const memory = variant.ServerlessConfig?.MemorySizeInMB
    await prepareServer(this.#job, {
      directory,
      container,
      region: fleet.config.EndpointConfigArn.split(':')[3] ?? this.#job.settings.region,
      instanceType: variant.InstanceType,
      memoryBytes: memory === undefined ? undefined : memory * MIB,
      isIsolated,
      environment: {},
      log: () => undefined,
    })
  }

  #keep(fleet: Fleet, server: FleetServer): ServerKeeper {
    const key = keyOf(fleet.number, server)
    const known = this.#keepers.get(key)
    if (known) return known
    const { name, state, settings, signal } = this.#job
    const variant = fleet.variants.find(
      ({ variant }) => variant.VariantName === server.variant,
    )?.variant
    const seconds = Number(
      this.#faults['startup-seconds'] ??
        variant?.ContainerStartupHealthCheckTimeoutInSeconds ??
        STARTUP_SECONDS,
    )
    const keeper = new ServerKeeper({
      directory: serverDirectory(this.#job, fleet.number, server),
      port: server.port,
      isReady: server.isReady,
      environment: settings.environment,
      startupMs: seconds * 1000,
      takenPorts: () => portsOf(this.#job),
      onState: ({ port, isReady }) => {
        updateEndpoint(state, name, ({ progress }) => {
          const fleets = [progress.current, progress.next, ...(progress.retired ?? [])]
          const recorded = fleets
            .find((one) => one?.number === fleet.number)
            ?.servers.find((one) => keyOf(fleet.number, one) === key)
          if (!recorded) return false
          Object.assign(recorded, { port, isReady })
        })
      },
      signal,
    })
    this.#keepers.set(key, keeper)
    return keeper
  }
}

function serverDirectory(
  job: Pick<JobContext, 'directory'>,
  fleet: number,
  { variant, index }: FleetServer,
): string {
  return join(job.directory, `fleet-${fleet}`, `${variant}-${index}`)
}

function keyOf(fleet: number, { variant, index }: FleetServer): string {
  return `${fleet}/${variant}/${index}`
}

function* portsOf(job: JobContext): Generator<number> {
  for (const { progress } of listEndpoints(job, () => true)) {
    const fleets = [progress.current, progress.next, ...(progress.retired ?? [])]
    for (const fleet of fleets) for (const { port } of fleet?.servers ?? []) yield port
  }
}
