import { inspect } from 'node:util'
import { newFolder, removeFolder } from './folders.ts'
import type { LoadGenerator } from './load.ts'
import { echo, type Peer } from './peers.ts'
import { call, seed } from './seeding.ts'
import { type ServerProcess, settle, startServer } from './server-process.ts'
import { quantile } from './statistics.ts'
import { measureStoreCommits } from './store.ts'
import { type Seeds, type Workload, workloads } from './workloads.ts'

/** One measurement of one server: a workload at a number of connections. */
export interface Sample {
  workload: string
  connections: number
  peer: string
  round: number
  perSecond: number
  p50Ms: number
  p99Ms: number
  maxMs: number
  /** Of the server's whole tree, per request. */
  cpuMs: number
  /** Cores that the load generator used: near 1, it was the limit. */
  generatorCores: number
  stuck: number
  errors: Record<string, number>
  /** What else happened, such as a restart. */
  note?: string
}

/** Durable commits of one row in the store itself, in the seconds around a write workload. */
export interface CommitSample {
  workload: string
  connections: number
  round: number
  perSecond: number
  p50Ms: number
}

interface CellOptions {
  peers: Peer[]
  names: string[]
  connections: number[]
  seconds: number
  warmupSeconds: number
  rounds: number
  generator: LoadGenerator
  say(text: string): void
}

interface Filled {
  server: ServerProcess
  seeds: Seeds
}

const NO_SEEDS: Seeds = {
  runIds: Array.from({ length: 64 }, (_, i) => String(i).padStart(32, '0')),
  searchedExperimentId: '1',
  historyRunId: '0'.repeat(32),
  emptyExperimentId: '2',
  chartRunIds: [],
}

/** Too few answers for a rate: then it follows from their mean time (Little's law). */
const COUNTED_FROM = 100

let counterStart = 100_000_000

/**
 * Fills every server, then measures all cells. All servers are up, one at a time gets requests, and
 * the servers take turns within each round, so that what disturbs the machine disturbs all of them.
 */
export async function measureCells(options: CellOptions) {
  const { peers, names, rounds, say } = options
  const samples: Sample[] = []
  const commits: CommitSample[] = []
  const filled = new Map<string, Filled>()
  const failures: Record<string, string> = {}
  const fail = (peer: Peer, error: unknown) => {
    failures[peer.name] = inspect(error)
    say(`${peer.name} is left out from here on: ${inspect(error)}`)
    filled.delete(peer.name)
  }
  try {
    for (const peer of peers) {
      say(`filling ${peer.name} ...`)
      await fill(peer, names).then(
        (ready) => filled.set(peer.name, ready),
        (error: unknown) => fail(peer, error),
      )
    }
    for (const name of names) {
      const workload = workloads[name]
      if (workload === undefined) continue
      const chosen = workload.connections.filter((count) => options.connections.includes(count))
      for (const connections of chosen) {
        for (let round = 1; round <= rounds; round++) {
          for (const [peerName, { server }] of filled) {
            if (workload.without?.includes(peerName)) continue
            const sample = await measureCell(options, filled.get(peerName), name, connections)
            samples.push({ ...sample, round })
            if (sample.note === undefined) continue
            await restart(filled, server).catch((error: unknown) => fail(server.peer, error))
          }
          if (workload.isWrite) {
            const limit = await measureStoreCommits(connections, 0.5)
            commits.push({ workload: name, connections, round, ...limit })
          }
        }
        say(lineOf(samples, name, connections))
      }
    }
  } finally {
    for (const { server } of filled.values()) {
      await server.stop()
      removeFolder(server.folder)
    }
  }
  return { samples, commits, failures }
}

async function fill(peer: Peer, names: string[]): Promise<Filled> {
  const server = await startServer(peer, newFolder())
  try {
    const seeds = peer.name === echo.name ? NO_SEEDS : await seed(server, names)
    if (peer.name !== echo.name) await checkAnswers(server, seeds, names)
    await settle(server)
    return { server, seeds }
  } catch (error) {
    await server.stop()
    throw error
  }
}

async function checkAnswers(server: ServerProcess, seeds: Seeds, names: string[]): Promise<void> {
  for (const [name, { request, check, without }] of Object.entries(workloads)) {
    if (!names.includes(name) || without?.includes(server.peer.name)) continue
    const [head = '', body] = request(seeds, 0).bytes.toString().split('\r\n\r\n')
    const path = head.split(' ')[1] ?? ''
    try {
      check(await call(server, path, body ? JSON.parse(body) : undefined))
    } catch (cause) {
      throw new Error(`${server.peer.name} fails ${name}`, { cause })
    }
  }
}

async function measureCell(
  { generator, seconds, warmupSeconds }: CellOptions,
  filled: Filled | undefined,
  name: string,
  connections: number,
): Promise<Omit<Sample, 'round'>> {
  if (filled === undefined) throw new Error('the server is not filled')
  const { server, seeds } = filled
  const cpuBefore = server.usage().cpuMs
  const report = await generator.run({
    port: server.port,
    workload: name,
    seeds,
    connections,
    warmupMs: warmupSeconds * 1000,
    measureMs: seconds * 1000,
    counterStart,
  })
  counterStart += report.answered * 100 + 100_000
  if (counterStart > 900_000_000) counterStart = 100_000_000
  const settledS = await settle(server)
  const cpuMs = (server.usage().cpuMs - cpuBefore) / Math.max(1, report.answered)
  const { latenciesMs, inWindow, stuck, errors } = report
  const meanMs = latenciesMs.reduce((sum, ms) => sum + ms, 0) / latenciesMs.length
  const perSecond =
    inWindow >= COUNTED_FROM || latenciesMs.length === 0
      ? inWindow / seconds
      : (connections * 1000) / meanMs
  const note = noteOf(stuck, settledS)
  return {
    workload: name,
    connections,
    peer: server.peer.name,
    perSecond,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    maxMs: quantile(latenciesMs, 1),
    cpuMs,
    generatorCores: report.cpuMs / ((seconds + warmupSeconds) * 1000),
    stuck,
    errors,
    ...(note !== undefined && { note }),
  }
}

function noteOf(stuck: number, settledS: number | undefined): string | undefined {
  if (settledS === undefined) return 'still worked 30 s after the end; restarted'
  return stuck > 0 ? `${stuck} requests never answered; restarted` : undefined
}

/** A server that did not come to rest would spoil the cells of all others. */
async function restart(filled: Map<string, Filled>, server: ServerProcess): Promise<void> {
  const { peer, folder } = server
  await server.stop()
  const seeds = filled.get(peer.name)?.seeds ?? NO_SEEDS
  filled.set(peer.name, { server: await startServer(peer, folder), seeds })
}

function lineOf(samples: Sample[], workload: string, connections: number): string {
  const mine = samples.filter(
    (sample) => sample.workload === workload && sample.connections === connections,
  )
  const byPeer = Map.groupBy(mine, ({ peer }) => peer)
  const rates = [...byPeer].map(([peer, taken]) => {
    const rate = quantile(
      taken.map(({ perSecond }) => perSecond),
      0.5,
    )
    return `${peer} ${rate.toPrecision(3)}`
  })
  return `${workload} at ${connections}: ${rates.join(', ')} per second`
}

/** The workload of that name. */
export function workloadOf(name: string): Workload {
  const workload = workloads[name]
  if (workload === undefined) throw new Error(`There is no workload '${name}'`)
  return workload
}
