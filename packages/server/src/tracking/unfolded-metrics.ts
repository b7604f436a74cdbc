import { compileOnce, type Db, inPieces } from '../db/dialect.ts'
import type { Int64 } from '../db/schema.ts'
import { decodeBlockInto } from '../metrics/block-codec.ts'
import { PointsBuilder } from '../metrics/points.ts'
import { mergeSummary, type Sample, type Summary, summarise } from '../metrics/summary.ts'
import type { RunRow } from './run-store.ts'

/** The latest point of one metric of a run; a NaN is stored as 0 and marked. */
export interface LatestMetric {
  key: number
  value: number
  is_nan: number
  step: Int64
  ts: Int64
}

interface Block {
  run: number
  data: Uint8Array
}

const selectBlocks = compileOnce<{ experiment: number; run: number }, Block>((db, param) =>
  db
    .selectFrom('metric_tail')
    .select(['run', 'data'])
    .where('experiment', '=', param('experiment'))
    .where('folded', '=', 0)
    .where('run', '=', param('run')),
)

/**
 * Brings the latest metrics of runs, by run, up to date with points that no summary knows yet, so
 * that reading a run does not have to wait for a write. Metrics stay in the order of their keys.
 * Resolves to how many blocks that took.
 */
export async function addUnfolded(
  db: Db,
  runs: readonly Pick<RunRow, 'id' | 'experiment'>[],
  latest: Map<number, LatestMetric[]>,
): Promise<number> {
  const blocks = await readBlocks(db, runs)
  for (const [run, ofRun] of Map.groupBy(blocks, (block) => block.run)) {
    const data = ofRun.map((block) => block.data)
    latest.set(run, mergeBlocks(latest.get(run) ?? [], data))
  }
  return blocks.length
}

/** Latest metrics together with points of blocks that they do not know, by key. */
export function mergeBlocks(
  latest: readonly LatestMetric[],
  blocks: readonly Uint8Array[],
): LatestMetric[] {
  const builder = new PointsBuilder()
  for (const data of blocks) decodeBlockInto(builder, data)
  const byKey = new Map(latest.map((metric) => [metric.key, metric]))
  for (const fresh of summarise(builder.points())) {
    const known = byKey.get(fresh.key)
    byKey.set(fresh.key, toLatest(known ? mergeSummary(toSummary(known), fresh) : fresh))
  }
  return [...byKey.values()].sort((a, b) => a.key - b.key)
}

async function readBlocks(
  db: Db,
  runs: readonly Pick<RunRow, 'id' | 'experiment'>[],
): Promise<Block[]> {
  const [only] = runs
  if (runs.length === 1 && only !== undefined) {
    return selectBlocks(db, { experiment: only.experiment, run: only.id })
  }
  const blocks: Block[] = []
  for (const piece of inPieces(runs)) {
    const found = await db
      .selectFrom('metric_tail')
      .select(['run', 'data'])
      .where('experiment', 'in', [...new Set(piece.map(({ experiment }) => experiment))])
      .where('folded', '=', 0)
      .where(
        'run',
        'in',
        piece.map(({ id }) => id),
      )
      .execute()
    blocks.push(...found)
  }
  return blocks
}

/** Only `last` of it is looked at. */
function toSummary({ key, value, is_nan, step, ts }: LatestMetric): Summary {
  const last: Sample = { step, timestamp: ts, value: is_nan ? Number.NaN : value }
  return { key, count: 0, last, first: last, min: null, max: null }
}

function toLatest({ key, last }: Summary): LatestMetric {
  const is_nan = Number.isNaN(last.value) ? 1 : 0
  return { key, value: is_nan ? 0 : last.value, is_nan, step: last.step, ts: last.timestamp }
}
