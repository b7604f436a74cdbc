import { sql } from 'kysely'
import { type Db, inPieces } from '../db/dialect.ts'
import { type ArtifactAccess, reachTree } from './artifact-access.ts'
import { measureTree, type Size } from './artifact-tree.ts'
import { EXPERIMENT_TABLES, LOGGED_MODEL_TABLES, listPending, RUN_TABLES } from './purge-store.ts'
import type { Garbage } from './select-garbage.ts'

/** How much a purge would free. */
export interface GarbageSize {
  things: { runs: number; models: number; experiments: number }
  /** Rows by table, without tables that lose none. */
  rows: Map<string, number>
  /** Bytes of the points of metrics, as stored. */
  metricBytes: number
  artifacts: Size
  /** Locations that this program may not delete. */
  unreachable: number
  /** Purges that were cut short and would be finished. */
  pending: number
}

/** Counts the rows and bytes that a purge would free. */
export async function measureGarbage(
  db: Db,
  garbage: Garbage,
  access: ArtifactAccess,
): Promise<GarbageSize> {
  const { runs, experiments } = garbage
  const models = [...garbage.models, ...garbage.modelsOfExperiments]
  const size: GarbageSize = {
    things: { runs: runs.length, models: models.length, experiments: experiments.length },
    rows: new Map(),
    metricBytes: 0,
    artifacts: { files: 0, bytes: 0 },
    unreachable: 0,
    pending: 0,
  }
  const runIds = runs.map(({ id }) => id)
  const modelIds = models.map(({ id }) => id)
  const experimentIds = experiments.map(({ id }) => id)
  for (const table of RUN_TABLES) await countRows(db, size, { table, column: 'run', ids: runIds })
  for (const table of LOGGED_MODEL_TABLES) {
    await countRows(db, size, { table, column: 'model', ids: modelIds })
  }
  for (const table of EXPERIMENT_TABLES) {
    await countRows(db, size, { table, column: 'experiment', ids: experimentIds })
  }
  for (const [table, n] of [
    ['run', runs.length],
    ['logged_model', models.length],
    ['experiment', experiments.length],
  ] as const) {
    if (n > 0) size.rows.set(table, n)
  }
  const pending = await listPending(db)
  size.pending = pending.length
  for (const { uri } of [...runs, ...models, ...pending]) await addArtifacts(size, uri, access)
  return size
}

async function countRows(
  db: Db,
  size: GarbageSize,
  { table, column, ids }: { table: string; column: string; ids: readonly number[] },
): Promise<void> {
  const hasPoints = table === 'metric_tail' || table === 'metric_chunk'
  for (const piece of inPieces(ids)) {
    const { rows } = await sql<{ n: number; bytes: number | null }>`
      select count(*) as n, ${sql.raw(hasPoints ? 'sum(length(data))' : '0')} as bytes
      from ${sql.table(table)} where ${sql.ref(column)} in (${sql.join(piece)})`.execute(db)
    const { n = 0, bytes = 0 } = rows[0] ?? {}
    if (Number(n) > 0) size.rows.set(table, (size.rows.get(table) ?? 0) + Number(n))
    size.metricBytes += Number(bytes ?? 0)
  }
}

async function addArtifacts(size: GarbageSize, uri: string, access: ArtifactAccess): Promise<void> {
  const tree = reachTree(uri, access)
  if ('unreachable' in tree) {
    size.unreachable++
    return
  }
  const { files, bytes } = await measureTree(tree)
  size.artifacts.files += files
  size.artifacts.bytes += bytes
}

/** The size in lines for people. */
export function sizeText(size: GarbageSize): string[] {
  const { runs, models, experiments } = size.things
  const rows = [...size.rows].map(([table, n]) => `${table} ${n}`)
  const total = [...size.rows.values()].reduce((sum, n) => sum + n, 0)
  const { files, bytes } = size.artifacts
  return [
    `Would purge ${runs} run(s), ${models} logged model(s), ${experiments} experiment(s).`,
    `Database: ${total} row(s), ${size.metricBytes} byte(s) of metrics${rows.length > 0 ? ` (${rows.join(', ')})` : ''}.`,
    `Artifacts: ${files} file(s), ${bytes} byte(s).`,
    ...(size.unreachable > 0
      ? [`${size.unreachable} artifact location(s) are out of reach and would stay.`]
      : []),
    ...(size.pending > 0
      ? [`${size.pending} purge(s) that were cut short would be finished.`]
      : []),
  ]
}
