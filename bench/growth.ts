import { parseArgs } from 'node:util'
import { workloadOf } from './cells.ts'
import { type LoadGenerator, startLoadGenerator } from './load.ts'
import { millrace } from './peers.ts'
import { table } from './report.ts'
import { call, createExperiment, createRun, fillRuns, seed } from './seeding.ts'
import { type ServerProcess, settle, withServer } from './server-process.ts'
import { quantile } from './statistics.ts'
import { openStore, STORES, storeBytes } from './store.ts'
import type { Seeds } from './workloads.ts'

/**
 * What a request costs when more and more is stored: the same workloads against one server that is
 * filled between them, first with runs in one experiment, then with points in all.
 * `node bench/growth.ts [--store postgresql] [--runs 1000,10000,75000] [--points 1e6,5e7]`.
 * Figures are medians in milliseconds at one connection, and the last column is the last one by the
 * first.
 */

const WORKLOADS = [
  'runs-get',
  'runs-create',
  'set-tag',
  'log-metric',
  'log-batch-1000',
  'search-filter',
  'history-10k',
  'bulk-interval',
]
const FILLING = ['search-', 'history-10k', 'bulk-interval']
const SECONDS = 2
const FILL_CONNECTIONS = 4
const POINTS_PER_BATCH = 1000
const POINTS_PER_RUN = 1_000_000

const { values } = parseArgs({
  options: {
    store: { type: 'string', default: 'sqlite' },
    runs: { type: 'string', default: '1000,10000,75000' },
    points: { type: 'string', default: '1e6,5e7' },
  },
})
const store = STORES.find((each) => each === values.store)
if (store === undefined) throw new Error(`--store is one of ${STORES.join(', ')}`)
const sizes = (text: string) => text.split(',').filter(Boolean).map(Number)

let counterStart = 100_000_000

const closeStore = await openStore(store)
const generator = startLoadGenerator()
try {
  await withServer(millrace(), (server) => grow(server, generator))
} finally {
  generator.stop()
  await closeStore()
}

async function grow(server: ServerProcess, load: LoadGenerator): Promise<void> {
  const seeds = await seed(server, FILLING)
  const stages: { name: string; ms: Map<string, number> }[] = []
  const measure = async (name: string) => {
    await settle(server)
    stages.push({ name, ms: await measureStage(server, load, seeds) })
    process.stderr.write(`${name}: measured, ${Math.round(server.usage().rssMib)} MiB\n`)
  }
  await measure('1,500 runs')
  let runs = 1500
  for (const size of sizes(values.runs).filter((each) => each > runs)) {
    await fillRuns(server, seeds.searchedExperimentId, runs, size)
    runs = size
    await measure(`${size.toLocaleString('en')} runs`)
  }
  const before = await storeBytes(server.folder)
  let points = 0
  for (const size of sizes(values.points)) {
    await fillPoints(server, load, points, size)
    points = size
    await measure(`${size.toLocaleString('en')} points`)
    const bytes = (await storeBytes(server.folder)) - before
    process.stderr.write(`${(bytes / points).toFixed(1)} bytes a point\n`)
  }
  const rows = WORKLOADS.map((name) => {
    const ms = stages.map((stage) => stage.ms.get(name) ?? Number.NaN)
    const ratio = (ms.at(-1) ?? Number.NaN) / (ms[0] ?? Number.NaN)
    return [workloadOf(name).title, ...ms.map((each) => each.toFixed(2)), `${ratio.toFixed(2)}x`]
  })
  const head = ['p50 ms at one connection', ...stages.map(({ name }) => name), 'last / first']
  process.stdout.write(`## Growth on ${values.store}\n${table(head, rows)}\n`)
}

async function measureStage(
  server: ServerProcess,
  load: LoadGenerator,
  seeds: Seeds,
): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  for (const workload of WORKLOADS) {
    const report = await run(server, load, { workload, seeds, connections: 1, seconds: SECONDS })
    found.set(workload, quantile(report.latenciesMs, 0.5))
    await settle(server)
  }
  return found
}

interface Run {
  workload: string
  seeds: Seeds
  connections: number
  seconds: number
}

async function run(server: ServerProcess, load: LoadGenerator, { seconds, ...rest }: Run) {
  const report = await load.run({
    ...rest,
    port: server.port,
    warmupMs: 500,
    measureMs: seconds * 1000,
    counterStart,
  })
  counterStart += report.answered * 100 + 100_000
  if (counterStart > 900_000_000) counterStart = 100_000_000
  const problems = Object.entries(report.errors)
  if (problems.length > 0) throw new Error(`${rest.workload}: ${JSON.stringify(report.errors)}`)
  return report
}

/** Points into runs of a million each, so that a series is as long as people's are. */
async function fillPoints(
  server: ServerProcess,
  load: LoadGenerator,
  from: number,
  to: number,
): Promise<void> {
  const experiment = await createExperiment(server, `bench-points-${to}`)
  for (let points = from; points < to; ) {
    const runIds: string[] = []
    for (let i = 0; i < FILL_CONNECTIONS; i++) runIds.push(await createRun(server, experiment, i))
    const seeds: Seeds = {
      runIds,
      searchedExperimentId: experiment,
      historyRunId: runIds[0] ?? '',
      emptyExperimentId: experiment,
      chartRunIds: [],
    }
    const target = Math.min(to, points + FILL_CONNECTIONS * POINTS_PER_RUN)
    while (points < target) {
      const settings = { workload: 'log-batch-1000', seeds, connections: FILL_CONNECTIONS }
      const { answered } = await run(server, load, { ...settings, seconds: 1 })
      points += answered * POINTS_PER_BATCH
    }
    for (const run_id of runIds) {
      await call(server, 'runs/update', { run_id, status: 'FINISHED', end_time: 1 })
    }
    process.stderr.write(`${points.toLocaleString('en')} points\n`)
  }
}
