import type { CommitSample, Sample } from './cells.ts'
import { workloadOf } from './cells.ts'
import type { ClientSample } from './client-run.ts'
import { goalsOf } from './goals.ts'
import { echo } from './peers.ts'
import type { SpaceSample } from './space.ts'
import type { StartSample } from './start-and-memory.ts'
import { median } from './statistics.ts'
import type { Store } from './store.ts'

const OURS = 'millrace'

/** Lines of a table whose columns are as wide as they need to be. */
export function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  )
  const line = (cells: string[]) =>
    `| ${cells.map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

/** Start to the first 200 and memory at rest. */
export function startTable(samples: StartSample[]): string {
  const rows = [...Map.groupBy(samples, ({ peer }) => peer)].map(([peer, taken]) => [
    peer,
    number(median(taken.map(({ firstMs }) => firstMs))),
    number(median(taken.map(({ againMs }) => againMs))),
    number(median(taken.map(({ idle }) => idle.pssMib))),
    number(median(taken.map(({ idle }) => idle.rssMib))),
    String(median(taken.map(({ idle }) => idle.processes))),
  ])
  const head = ['server', 'first start ms', 'again ms', 'idle PSS MiB', 'RSS MiB', 'processes']
  return `## Start to the first 200, and rest\n${table(head, rows)}`
}

/** A table per workload, with ratios to Millrace and the limits of the machine. */
export function workloadTables(samples: Sample[], commits: CommitSample[], store: Store): string {
  const byWorkload = Map.groupBy(samples, ({ workload }) => workload)
  return [...byWorkload]
    .map(([name, taken]) => {
      const { title, points } = workloadOf(name)
      const rate = points === undefined || points === 1 ? 'req/s' : 'points/s'
      const head = [
        'connections',
        'server',
        rate,
        'p50 ms',
        'p99 ms',
        'CPU ms/req',
        'millrace is',
        'goal',
        'problems',
      ]
      const rows = [...Map.groupBy(taken, ({ connections }) => connections)].flatMap(
        ([connections, cell]) => rowsOf(cell, connections, { name, points: points ?? 1, store }),
      )
      const limit = limitLine(commits.filter(({ workload }) => workload === name))
      return `## ${title}\n${table(head, rows)}${limit}`
    })
    .join('\n\n')
}

interface Row {
  name: string
  points: number
  store: Store
}

function rowsOf(cell: Sample[], connections: number, { name, points, store }: Row): string[][] {
  const byPeer = [...Map.groupBy(cell, ({ peer }) => peer)]
  const rateOf = (taken: Sample[]) => median(taken.map(({ perSecond }) => perSecond))
  const ours = rateOf(cell.filter(({ peer }) => peer === OURS))
  return byPeer.map(([peer, taken]) => {
    const rate = rateOf(taken)
    const goal = goalsOf({ workload: name, connections, store })[peer]
    return [
      String(connections),
      peer,
      number(rate * points),
      number(median(taken.map(({ p50Ms }) => p50Ms))),
      number(median(taken.map(({ p99Ms }) => p99Ms))),
      number(median(taken.map(({ cpuMs }) => cpuMs))),
      peer === OURS
        ? generatorLoad(taken)
        : rate === 0
          ? 'none answered'
          : `${number(ours / rate)}x`,
      goal === undefined ? '' : `${ours / rate >= goal ? 'ok' : 'MISSED'} ${goal}x`,
      problemsOf(taken),
    ]
  })
}

/** Whether it was the generator that set the rate. */
function generatorLoad(taken: Sample[]): string {
  const cores = median(taken.map(({ generatorCores }) => generatorCores))
  return cores > 0.85 ? `(generator ${number(cores)} cores)` : ''
}

function problemsOf(taken: Sample[]): string {
  const found = new Map<string, number>()
  for (const { stuck, errors } of taken) {
    for (const [problem, count] of Object.entries({ stuck, ...errors })) {
      if (count > 0) found.set(problem, (found.get(problem) ?? 0) + count)
    }
  }
  return [...found].map(([problem, count]) => `${count} ${problem}`).join(', ')
}

function limitLine(commits: CommitSample[]): string {
  const lines = [...Map.groupBy(commits, ({ connections }) => connections)].map(
    ([connections, taken]) => {
      const perSecond = median(taken.map((sample) => sample.perSecond))
      const p50 = median(taken.map((sample) => sample.p50Ms))
      return `\nThe store itself, in the same minutes, at ${connections}: ${number(perSecond)} durable commits/s, p50 ${number(p50)} ms.`
    },
  )
  return lines.join('')
}

/** A stock client's run, part by part. */
export function clientTable(samples: ClientSample[]): string {
  const parts = Object.keys(samples[0]?.seconds ?? {})
  const rows = [...Map.groupBy(samples, ({ peer }) => peer)].map(([peer, taken]) => {
    const times = parts.map((part) =>
      median(taken.map(({ seconds }) => seconds[part] ?? Number.NaN)),
    )
    return [peer, ...[...times, times.reduce((sum, time) => sum + time, 0)].map(number)]
  })
  return `## One run of the stock Python client, seconds\n${table(['server', ...parts, 'all'], rows)}`
}

/** Bytes of a metric point with all tables and indexes. */
export function spaceTable(samples: SpaceSample[]): string {
  const rows = samples.map(({ peer, points, bytesPerPoint }) => [
    peer,
    number(bytesPerPoint),
    String(points),
  ])
  return `## Metric points on disk (random doubles, 100 keys of one ended run)\n${table(['server', 'bytes a point', 'points'], rows)}`
}

/** Who keeps what it acknowledged: a database server decides for all of its clients. */
export function durabilityLines(
  peers: { name: string; durability: string }[],
  store: Store,
): string {
  if (store !== 'sqlite') return `Every server writes to one ${store} server, with its fsync on.`
  const lines = peers
    .filter(({ name }) => name !== echo.name)
    .map(({ name, durability }) => `- a write that ${name} has acknowledged survives ${durability}`)
  return lines.join('\n')
}

function number(value: number): string {
  if (!Number.isFinite(value)) return '-'
  if (value >= 100) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(value >= 10 ? 3 : 2)))
}
