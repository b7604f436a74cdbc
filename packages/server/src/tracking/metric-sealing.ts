import { compileOnce, type Db, inPieces } from '../db/dialect.ts'
import { decodeBlockInto } from '../metrics/block-codec.ts'
import { cutChunks, decodeChunk, describeChunk, encodeChunk } from '../metrics/chunk-codec.ts'
import { sortAndDropEquals } from '../metrics/point-order.ts'
import { type Points, PointsBuilder } from '../metrics/points.ts'
import type { RunRow } from './run-store.ts'

/** A run's tail is sealed at this many points or blocks, or when the run has ended. */
const SEAL_POINTS = 16_384
const SEAL_BLOCKS = 256

/** Fresh chunks are merged when a run has that many, so that one metric lies in few of them. */
const MERGE_CHUNKS = 16
/** Most points of one merge: it holds up the only writer for some 20 ms. */
const MERGE_POINTS = 65_536

/** How often a chunk was merged; the last level is left alone. */
const FRESH = 0
const MERGED = 1
const FINAL = 2

interface Piece {
  id: number
  experiment: number
  data: Uint8Array
}

interface OfRun extends Record<string, unknown> {
  experiment: number
  run: number
}

const measureTail = compileOnce<OfRun, { blocks: number; points: number | null }>((db, param) =>
  db
    .selectFrom('metric_tail')
    .select(({ fn }) => [
      fn.countAll<number>().as('blocks'),
      fn.sum<number | null>('n').as('points'),
    ])
    .where('experiment', '=', param('experiment'))
    .where('folded', '=', 1)
    .where('run', '=', param('run')),
)

const selectTail = compileOnce<OfRun, Piece>((db, param) =>
  db
    .selectFrom('metric_tail')
    .select(['id', 'experiment', 'data'])
    .where('experiment', '=', param('experiment'))
    .where('folded', '=', 1)
    .where('run', '=', param('run'))
    .orderBy('id'),
)

/** Sorts and compresses the folded tail of a run once it is long or the run ended. */
export async function sealWhenDue(
  db: Db,
  { id: run, experiment }: Pick<RunRow, 'id' | 'experiment'>,
  hasEnded: boolean,
): Promise<void> {
  const [tail] = await measureTail(db, { experiment, run })
  if (tail === undefined || tail.blocks === 0) return
  const isLong = (tail.points ?? 0) >= SEAL_POINTS || tail.blocks >= SEAL_BLOCKS
  if (!isLong && !hasEnded) return

  const blocks = await selectTail(db, { experiment, run })
  const builder = new PointsBuilder()
  for (const { data } of blocks) decodeBlockInto(builder, data)
  await insertChunks(db, { run, experiment, level: FRESH }, builder.points())
  for (const ids of inPieces(blocks.map(({ id }) => id))) {
    await db.deleteFrom('metric_tail').where('id', 'in', ids).execute()
  }
}

const selectChunks = compileOnce<{ run: number; level: number }, Piece & { n: number }>(
  (db, param) =>
    db
      .selectFrom('metric_chunk')
      .select(['id', 'experiment', 'data', 'n'])
      .where('run', '=', param('run'))
      .where('level', '=', param('level'))
      .orderBy('id'),
)

const countChunks = compileOnce<
  { run: number; level: number },
  { chunks: number; points: number | null }
>((db, param) =>
  db
    .selectFrom('metric_chunk')
    .select(({ fn }) => [
      fn.countAll<number>().as('chunks'),
      fn.sum<number | null>('n').as('points'),
    ])
    .where('run', '=', param('run'))
    .where('level', '=', param('level')),
)

const deleteChunk = compileOnce<{ id: number }, unknown>((db, param) =>
  db.deleteFrom('metric_chunk').where('id', '=', param('id')),
)

/**
 * Merges chunks of a run that were sealed one after the other into ones that hold more points of
 * fewer metrics; returns whether another merge is due.
 */
export async function mergeWhenDue(db: Db, run: number): Promise<boolean> {
  for (const level of [FRESH, MERGED]) {
    const [there] = await countChunks(db, { run, level })
    if (there === undefined) continue
    const { chunks, points } = there
    const isDue =
      level === FRESH ? chunks >= MERGE_CHUNKS : (points ?? 0) >= MERGE_POINTS / 2 && chunks > 1
    if (!isDue) continue
    await mergeOldest(db, run, level)
    return true
  }
  return false
}

async function mergeOldest(db: Db, run: number, level: number): Promise<void> {
  const oldest: Piece[] = []
  let n = 0
  for (const chunk of await selectChunks(db, { run, level })) {
    n += chunk.n
    if (n > MERGE_POINTS && oldest.length > 1) break
    oldest.push(chunk)
  }
  const [first] = oldest
  if (first === undefined) return
  const builder = new PointsBuilder()
  for (const { data } of oldest) builder.append(decodeChunk(data))
  const next = builder.n >= MERGE_POINTS / 2 ? FINAL : MERGED
  await insertChunks(db, { run, experiment: first.experiment, level: next }, builder.points())
  for (const { id } of oldest) await deleteChunk(db, { id })
}

interface ChunkOwner {
  run: number
  experiment: number
  level: number
}

async function insertChunks(db: Db, owner: ChunkOwner, unsorted: Points): Promise<void> {
  for (const points of cutChunks(sortAndDropEquals(unsorted))) await insertChunk(db, owner, points)
}

/** Stores sorted points as one chunk. */
export async function insertChunk(db: Db, owner: ChunkOwner, points: Points): Promise<void> {
  const { firstKey, lastKey, steps, timestamps } = describeChunk(points)
  await db
    .insertInto('metric_chunk')
    .values({
      ...owner,
      first_key: firstKey,
      last_key: lastKey,
      n: points.n,
      min_step: steps[0],
      max_step: steps[1],
      min_ts: timestamps[0],
      max_ts: timestamps[1],
      data: encodeChunk(points),
    })
    .execute()
}
