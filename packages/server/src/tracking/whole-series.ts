import type { Db } from '../db/dialect.ts'
import type { Points } from '../metrics/points.ts'
import { keptSeries } from './kept-series.ts'
import { openSeries } from './metric-store.ts'
import type { RunRow } from './run-store.ts'

type SeriesRun = Pick<RunRow, 'id' | 'uuid' | 'experiment'>

/**
 * What tells the rows of a run's points from those of another moment. Tail rows only come and, with a
 * new chunk of that run, go, and the chunk has a higher id than any before it. An id of a tail row may
 * come again, so all chunks of the run count, whatever metric is in them.
 */
type State = readonly number[]

interface Kept {
  state: State
  points: Points
}

const kept = keptSeries<Kept>({ pointsMin: 256, pointsMax: 1_000_000 })

/**
 * All points of one metric of some runs by run, each series by (timestamp, step, value) and each
 * point once, in a number of statements that does not grow with the runs when nothing was logged
 * since they were last read. They are shared: nobody may change them.
 */
export async function readWholeSeries(
  db: Db,
  runs: readonly SeriesRun[],
  key: number,
): Promise<Map<number, Points>> {
  const series = new Map<number, Points>()
  if (runs.length === 0) return series
  const states = await readStates(db, runs)
  for (const run of runs) {
    const name = `${run.uuid} ${key}`
    const known = kept(db).find(name)
    const state = states(run.id)
    if (known !== undefined && isSame(known.state, state)) {
      series.set(run.id, known.points)
      continue
    }
    // No older than the state: when it is newer, the next look finds another state.
    const merged = await openSeries(db, run, key)
    const points = merged.slice(0, merged.n)
    kept(db).keep(name, { state, points })
    series.set(run.id, points)
  }
  return series
}

function isSame(a: State, b: State): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i])
}

async function readStates(db: Db, runs: readonly SeriesRun[]): Promise<(run: number) => State> {
  const ids = runs.map(({ id }) => id)
  const tails = await db
    .selectFrom('metric_tail')
    .select(({ fn }) => [
      'run',
      fn.countAll<number>().as('blocks'),
      fn.min<number>('id').as('first'),
      fn.max<number>('id').as('last'),
      fn.sum<number>('id').as('sum'),
    ])
    .where('experiment', 'in', [...new Set(runs.map(({ experiment }) => experiment))])
    .where('folded', 'in', [0, 1])
    .where('run', 'in', ids)
    .groupBy('run')
    .execute()
  const chunks = await db
    .selectFrom('metric_chunk')
    .select(({ fn }) => [
      'run',
      fn.countAll<number>().as('chunks'),
      fn.max<number>('id').as('last'),
    ])
    .where('run', 'in', ids)
    .groupBy('run')
    .execute()
  const tailOf = new Map(tails.map((each) => [each.run, each]))
  const chunksOf = new Map(chunks.map((each) => [each.run, each]))
  return (run) => {
    const { blocks = 0, first = 0, last = 0, sum = 0 } = tailOf.get(run) ?? {}
    const sealed = chunksOf.get(run)
    return [blocks, first, last, sum, sealed?.chunks ?? 0, sealed?.last ?? 0].map(Number)
  }
}
