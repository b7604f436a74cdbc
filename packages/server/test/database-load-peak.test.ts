import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { createClient } from '@millrace/client/client'
import { expect, test } from 'vitest'
import { createDatabase } from './database-servers.ts'
import { createAgent, sendRaw } from './fuzz-client.ts'
import { type ServerProcess, startServerProcess } from './server-process.ts'
import { testDatabase } from './shared-database.ts'
import { temporaryFolder } from './temporary-folder.ts'

const USUAL = 40
/** Five times as many as may wait. */
const TOO_MANY = 1000
const PENDING_MAX = 200
const MEMORY_MAX_BYTES = 1024 * 1024 * 1024
/** `MILLRACE_PEAK_SECONDS=60` is the long form, for a machine on which nothing else runs. */
const PEAK_SECONDS = Number(process.env['MILLRACE_PEAK_SECONDS'] ?? 4)
/** Of the speed before the peak, what is there again within ten seconds of its end. */
const SHARE_AFTER = PEAK_SECONDS < 60 ? 0.2 : 0.8
const BACK_WITHIN_MS = 10_000
const SAMPLE_MS = 2000

/** What a number of clients that never wait were answered, by status. */
interface Answers {
  statuses: Map<number, number>
  withoutPause: number
  msTaken: number
  memoryMaxBytes: number
}

let value = 0

async function load(
  server: ServerProcess,
  run_ids: readonly string[],
  { clients, ms }: { clients: number; ms: number },
): Promise<Answers> {
  const agent = createAgent(clients)
  const answers = { statuses: new Map<number, number>(), withoutPause: 0, memoryMaxBytes: 0 }
  const startMs = performance.now()
  const isOver = () => performance.now() - startMs > ms
  const logOne = async (run_id: string) => {
    const step = value++
    const point = { run_id, key: 'm', value: step, timestamp: 1, step }
    const request = {
      method: 'POST',
      url: '/api/2.0/mlflow/runs/log-metric',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(point)),
    }
    const { status, headers } = await sendRaw(server.port, request, agent)
    answers.statuses.set(status, (answers.statuses.get(status) ?? 0) + 1)
    if (status !== 200 && headers['retry-after'] === undefined) answers.withoutPause++
  }
  const all = Array.from({ length: clients }, async (_, n) => {
    while (!isOver()) await logOne(run_ids[n % run_ids.length] ?? '')
  })
  const watching = (async () => {
    while (!isOver()) {
      answers.memoryMaxBytes = Math.max(answers.memoryMaxBytes, memoryOf(server.pid))
      await wait(100)
    }
  })()
  await Promise.all([...all, watching])
  agent.destroy()
  return { ...answers, msTaken: performance.now() - startMs }
}

function memoryOf(pid: number): number {
  const [, kilobytes = '0'] =
    /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1024
}

const perSecond = ({ statuses, msTaken }: Answers) => ((statuses.get(200) ?? 0) * 1000) / msTaken

test(`five times too many clients of ${testDatabase} are refused in order, and it is as fast after them as before`, {
  timeout: (PEAK_SECONDS + 360) * 1000,
}, async () => {
  await using folder = await temporaryFolder()
  const adminUri = process.env['MILLRACE_TEST_DATABASE_URI']
  const storage =
    adminUri === undefined ? [] : [`--backend-store-uri=${await createDatabase(adminUri)}`]
  await using server = await startServerProcess({
    folder: folder.path,
    args: [...storage, `--pending-writes-max=${PENDING_MAX}`],
  })
  const client = createClient({ baseUrl: server.url })
  const runs = await Promise.all(
    Array.from({ length: 20 }, () => client.runs.create({ experiment_id: '0' })),
  )
  const run_ids = runs.map(({ run }) => run.info.run_id)
  // A server that is not warm is slower before the peak than after it.
  const first = await load(server, run_ids, { clients: USUAL, ms: PEAK_SECONDS * 250 })

  const before = await load(server, run_ids, { clients: USUAL, ms: SAMPLE_MS })
  const peak = await load(server, run_ids, { clients: TOO_MANY, ms: PEAK_SECONDS * 1000 })
  const since: Answers[] = []
  const isBack = (after: Answers) => perSecond(after) >= perSecond(before) * SHARE_AFTER
  while (!since.some(isBack) && since.length < BACK_WITHIN_MS / SAMPLE_MS) {
    since.push(await load(server, run_ids, { clients: USUAL, ms: SAMPLE_MS }))
  }

  const rates = [before, peak, ...since].map((answers) => Math.round(perSecond(answers)))
  console.info(`writes a second before, at and after the peak: ${rates.join(', ')}`)
  for (const { statuses } of [before, ...since]) expect([...statuses.keys()]).toEqual([200])
  expect([...peak.statuses.keys()].sort()).toEqual([200, 503])
  expect(peak.withoutPause).toBe(0)
  expect(peak.memoryMaxBytes).toBeLessThan(MEMORY_MAX_BYTES)
  expect(since.some(isBack), `${rates}`).toBe(true)
  const counts = await Promise.all(
    run_ids.map(async (run_id) => {
      const { metrics = [] } = await client.metrics.getHistory({ run_id, metric_key: 'm' })
      return metrics.length
    }),
  )
  const answered = [first, before, peak, ...since].map(({ statuses }) => statuses.get(200) ?? 0)
  const sum = (numbers: number[]) => numbers.reduce((total, each) => total + each, 0)
  expect(sum(counts)).toBe(sum(answered))
  expect((await server.terminate()).code).toBe(0)
})
