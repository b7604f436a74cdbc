import { compileOnce, type Db } from '../db/dialect.ts'
import { decodeChunk } from '../metrics/chunk-codec.ts'
import { sortAndDropEquals } from '../metrics/point-order.ts'
import { type Points, PointsBuilder } from '../metrics/points.ts'
import type { RunRow } from './run-store.ts'

/**
 * Sealed points of single metrics, kept in memory once they were decoded: then a page of a long
 * history costs what it returns. What is kept is what the database holds: chunks never change, and
 * whatever seals or merges some inserts one with a higher id than all that the run had.
 */

/** Of all series together; 28 bytes each. */
const KEPT_POINTS_MAX = 2_000_000
/** A shorter series is decoded in about the time that the look at its ids takes. */
const KEPT_POINTS_MIN = 4096

interface Kept {
  chunks: number
  lastId: number
  points: Points
}

/** By run and metric, the one that was asked for last at the end. */
class KeptSeries {
  readonly #byName = new Map<string, Kept>()
  #points = 0

  find(name: string): Kept | undefined {
    const kept = this.#byName.get(name)
    if (kept === undefined) return undefined
    this.#byName.delete(name)
    this.#byName.set(name, kept)
    return kept
  }

  keep(name: string, kept: Kept): void {
    this.#drop(name)
    if (kept.points.n < KEPT_POINTS_MIN || kept.points.n > KEPT_POINTS_MAX) return
    this.#byName.set(name, kept)
    this.#points += kept.points.n
    for (const oldest of this.#byName.keys()) {
      if (this.#points <= KEPT_POINTS_MAX) return
      this.#drop(oldest)
    }
  }

  #drop(name: string): void {
    this.#points -= this.#byName.get(name)?.points.n ?? 0
    this.#byName.delete(name)
  }
}

const keptByDatabase = new WeakMap<object, KeptSeries>()

function keptSeries(db: Db): KeptSeries {
  const { adapter } = db.getExecutor()
  let kept = keptByDatabase.get(adapter)
  if (kept === undefined) {
    kept = new KeptSeries()
    keptByDatabase.set(adapter, kept)
  }
  return kept
}

interface OfKey extends Record<string, unknown> {
  run: number
  key: number
}

const countChunks = compileOnce<OfKey, { chunks: number; last_id: number | null }>((db, param) =>
  db
    .selectFrom('metric_chunk')
    .select(({ fn }) => [
      fn.countAll<number>().as('chunks'),
      fn.max<number | null>('id').as('last_id'),
    ])
    .where('run', '=', param('run'))
    .where('last_key', '>=', param('key'))
    .where('first_key', '<=', param('key')),
)

const selectChunks = compileOnce<OfKey, { id: number; data: Uint8Array }>((db, param) =>
  db
    .selectFrom('metric_chunk')
    .select(['id', 'data'])
    .where('run', '=', param('run'))
    .where('last_key', '>=', param('key'))
    .where('first_key', '<=', param('key')),
)

/**
 * The sealed points of one metric of a run by (timestamp, step, value), each once. They are shared:
 * nobody may change them.
 */
export async function readSealed(
  db: Db,
  { id: run, uuid }: Pick<RunRow, 'id' | 'uuid'>,
  key: number,
): Promise<Points> {
  const name = `${uuid} ${key}`
  const kept = keptSeries(db).find(name)
  if (kept !== undefined) {
    const [there] = await countChunks(db, { run, key })
    if (there?.chunks === kept.chunks && there.last_id === kept.lastId) return kept.points
  }
  const chunks = await selectChunks(db, { run, key })
  const only = new Set([key])
  const decoded = chunks.map(({ data }) => decodeChunk(data, only))
  // No larger than what it holds, because it stays.
  const builder = new PointsBuilder(decoded.reduce((sum, { n }) => sum + n, 0))
  for (const each of decoded) builder.append(each)
  const points = sortAndDropEquals(builder.points())
  const lastId = chunks.reduce((last, { id }) => Math.max(last, id), 0)
  keptSeries(db).keep(name, { chunks: chunks.length, lastId, points })
  return points
}
