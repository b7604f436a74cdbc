import { readdirSync, readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { scoringModels } from '../packages/scoring/test/scoring-models.ts'
import {
  type ScoringProcess,
  startMillrace,
  startStock,
} from '../packages/scoring/test/scoring-processes.ts'
import { median, quantile } from './statistics.ts'

/**
 * Answers of a scikit-learn model per second, and how long they take, from `millrace models serve`
 * and from the stock `mlflow models serve` with as many workers. Both run the whole time; they are
 * measured in short turns, so that whatever else the machine does falls on both; the processor time
 * of an answer, which that changes least, is that of the server with its workers.
 *
 *     node bench/scoring.ts [--seconds 2] [--workers 1] [--rounds 6] [--onnx PYTHON]
 *
 * `--onnx` names the interpreter of an environment with MLflow and `onnxruntime`: a model in the ONNX
 * format is then served by the stock server there and, without Python, by ours.
 */

const CONCURRENCIES = [1, 8, 64]
const WARM_UP_MS = 300
// Linux counts processor time in hundredths of a second.
const MS_PER_TICK = 10
const BODY = JSON.stringify({
  dataframe_split: { columns: ['a', 'b'], data: Array.from({ length: 10 }, (_, i) => [i, i / 2]) },
})

interface Measured {
  /** Answers per second. */
  rate: number
  latenciesMs: number[]
  /** Processor time of the server and its workers per answer. */
  cpuMs: number
  /** Answers other than 200. */
  failures: number
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '2' },
    workers: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '6' },
    onnx: { type: 'string' },
  },
})
const { python, model, ours } = await contest(values.onnx)
const flags = ['-w', values.workers]
await using stock = await startStock(python, model, flags)
await using millrace = await startMillrace(python, model, [...flags, ...ours])

console.log(
  `10 rows of 2 columns a request, ${values.workers} worker(s), ${values.seconds} s a turn`,
)
console.log('connections            answers/s   p50 ms   p99 ms   cpu ms  failures')
for (const connections of CONCURRENCIES) {
  const turns: Record<'stock' | 'millrace', Measured[]> = { stock: [], millrace: [] }
  for (let round = 0; round < Number(values.rounds); round++) {
    // There and back, so that neither is always the first.
    const servers = [['stock', stock] as const, ['millrace', millrace] as const]
    for (const [name, server] of round % 2 ? servers.reverse() : servers) {
      turns[name].push(await measure(server, connections, Number(values.seconds) * 1_000))
    }
  }
  const before = summary(turns.stock)
  const after = summary(turns.millrace)
  print(String(connections), 'mlflow', before)
  print('', 'millrace', after)
  const ratios = before.numbers.map((number, i) => (after.numbers[i] ?? Number.NaN) / number)
  console.log(
    `            ratio      ${ratios.map((ratio) => ratio.toFixed(2).padStart(8)).join(' ')}`,
  )
}

/** What both serve, the Python that does it, and the flags of ours. */
async function contest(onnx: string | undefined) {
  if (onnx === undefined) {
    const { python, directory } = await scoringModels('mlflow-3.17.2')
    return { python, model: directory('signed'), ours: [] }
  }
  const folder = new URL('../packages/scoring/test/onnx/linear-columns', import.meta.url)
  return { python: onnx, model: fileURLToPath(folder), ours: ['--runtime', 'onnx'] }
}

/** Keeps that many requests under way for a while. */
async function measure(
  { url, child }: ScoringProcess,
  connections: number,
  measureMs: number,
): Promise<Measured> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const from = performance.now() + WARM_UP_MS
  const until = from + measureMs
  const latenciesMs: number[] = []
  let failures = 0
  let inWindow = 0
  let answered = 0
  const cpuBefore = cpuMsOf(child.pid ?? 0)
  const lane = async () => {
    for (let sentAt = performance.now(); sentAt < until; sentAt = performance.now()) {
      const status = await post(`${url}/invocations`, agent)
      const now = performance.now()
      answered += 1
      if (status !== 200) failures += 1
      else if (sentAt >= from) latenciesMs.push(now - sentAt)
      if (status === 200 && now >= from && now <= until) inWindow += 1
    }
  }
  await Promise.all(Array.from({ length: connections }, lane))
  agent.destroy()
  const cpuMs = (cpuMsOf(child.pid ?? 0) - cpuBefore) / answered
  return { rate: inWindow / (measureMs / 1_000), latenciesMs, cpuMs, failures }
}

function post(url: string, agent: Agent): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': BODY.length }
    const sent = request(url, { method: 'POST', agent, headers }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode))
    })
    sent.once('error', reject)
    sent.end(BODY)
  })
}

/** What a process and all that it has started have used of the processors so far. */
function cpuMsOf(root: number): number {
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap(readStat)
  const tree = new Set([root])
  // A child may have a lower number than its parent, so one pass is not enough.
  for (let size = 0; size < tree.size; ) {
    size = tree.size
    for (const { pid, parent } of processes) if (tree.has(parent)) tree.add(pid)
  }
  return processes.filter(({ pid }) => tree.has(pid)).reduce((sum, { cpuMs }) => sum + cpuMs, 0)
}

function readStat(pid: string): { pid: number; parent: number; cpuMs: number }[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const [parent, user, system] = [fields[1], fields[11], fields[12]].map(Number)
    const cpuMs = ((user ?? 0) + (system ?? 0)) * MS_PER_TICK
    return [{ pid: Number(pid), parent: parent ?? 0, cpuMs }]
  } catch {
    // It has ended since the listing.
    return []
  }
}

function summary(turns: Measured[]) {
  const latenciesMs = turns.flatMap((turn) => turn.latenciesMs)
  return {
    numbers: [
      median(turns.map(({ rate }) => rate)),
      quantile(latenciesMs, 0.5),
      quantile(latenciesMs, 0.99),
      median(turns.map(({ cpuMs }) => cpuMs)),
    ],
    failures: turns.reduce((sum, turn) => sum + turn.failures, 0),
  }
}

function print(
  connections: string,
  name: string,
  { numbers, failures }: ReturnType<typeof summary>,
) {
  const texts = numbers.map((number) => number.toFixed(1).padStart(8)).join(' ')
  console.log(
    `${connections.padStart(11)} ${name.padEnd(10)} ${texts} ${String(failures).padStart(9)}`,
  )
}
