import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../db/dialect.ts'
import { compileForLists } from '../db/list-statement.ts'
import type { Int64 } from '../db/schema.ts'
import { type RunRow, STATUS_FINISHED } from './run-store.ts'
import type { LatestMetric } from './unfolded-metrics.ts'

/**
 * Runs with all that belongs to them by one statement of MySQL or MariaDB, which make no lists: a row
 * is a run, or one of its metrics, params, tags or blocks of points.
 */

const RUN = 0
const METRIC = 1
const PARAM = 2
const TAG = 3
const BLOCK = 4

interface UnitedRow {
  part: number
  run: number
  key_id: number
  value: number
  n1: Int64
  n2: Int64
  n3: Int64 | null
  n4: number
  n5: number | null
  /** Of a run: whether it has inputs or outputs. */
  n6: number
  t1: string
  t2: string
  t3: string
  t4: string
  doc: string | null
  data: Uint8Array
}

/** A run as it is stored; the document of an ended run is all that is read of it. */
export interface UnitedRun {
  row: RunRow
  doc: string | null
  hasInputs: boolean
  metrics: LatestMetric[]
  params: { key: number; value: string }[]
  tags: { key: number; value: string }[]
  /** Points that no summary knows yet. */
  blocks: Uint8Array[]
}

type Named = Partial<Record<keyof UnitedRow, RawBuilder<unknown>>>

/** Columns of a row: what is not named is null. */
function columns(part: number, named: Named): RawBuilder<unknown> {
  const list = COLUMNS.map((name) => sql`${named[name] ?? sql.lit(null)} as ${sql.ref(name)}`)
  return sql`${sql.lit(part)} as part, ${sql.join(list)}`
}

const COLUMNS = [
  ...(['run', 'key_id', 'value', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6'] as const),
  ...(['t1', 't2', 't3', 't4', 'doc', 'data'] as const),
]

const OF_RUN: Named = {
  run: sql.ref('run.id'),
  key_id: sql.ref('run.experiment'),
  n1: sql.ref('run.status'),
  n2: sql.ref('run.start_time'),
  n3: sql.ref('run.end_time'),
  n4: sql.ref('run.stage'),
  n5: sql.ref('run.deleted_time'),
  n6: sql`
    exists (select 1 from run_dataset where run_dataset.run = run.id)
    or exists (select 1 from run_model where run_model.run = run.id)`,
  t1: sql.ref('run.uuid'),
  t2: sql.ref('run.name'),
  t3: sql.ref('run.user_id'),
  t4: sql.ref('run.artifact_uri'),
  doc: sql.ref('run_doc.data'),
}

const OF_METRIC: Named = {
  run: sql.ref('e.run'),
  key_id: sql.ref('e.key'),
  value: sql.ref('e.value'),
  n1: sql.ref('e.step'),
  n2: sql.ref('e.ts'),
  n4: sql.ref('e.is_nan'),
}

const OF_ENTRY: Named = {
  run: sql.ref('e.run'),
  key_id: sql.ref('e.key'),
  t1: sql.ref('e.value'),
}

const OF_BLOCK: Named = { run: sql.ref('e.run'), data: sql.ref('e.data') }

function unitedRows(uuids: RawBuilder<unknown>): RawBuilder<UnitedRow> {
  const ended = sql.lit(STATUS_FINISHED)
  const withoutDoc = sql`
    run.uuid in (${uuids}) and not exists (
      select 1 from run_doc where run_doc.run = run.id and run.status >= ${ended})`
  const entries = (part: number, table: 'metric_latest' | 'param' | 'tag', named: Named) => sql`
    union all select ${columns(part, named)}
    from run join ${sql.table(table)} as e on e.run = run.id where ${withoutDoc}`
  return sql<UnitedRow>`
    select ${columns(RUN, OF_RUN)}
    from run left join run_doc on run_doc.run = run.id and run.status >= ${ended}
    where run.uuid in (${uuids})
    ${entries(METRIC, 'metric_latest', OF_METRIC)}
    ${entries(PARAM, 'param', OF_ENTRY)}
    ${entries(TAG, 'tag', OF_ENTRY)}
    union all select ${columns(BLOCK, OF_BLOCK)}
    from run join metric_tail as e
      on e.experiment = run.experiment and e.folded = 0 and e.run = run.id
    where ${withoutDoc}`
}

const selectUnited = compileForLists<string, UnitedRow>((db, uuids) => ({
  compile: () => unitedRows(uuids).compile(db),
}))

/** The runs of these ids that there are; at most 64 ids. */
export async function readUnited(db: Db, uuids: readonly string[]): Promise<UnitedRun[]> {
  const rows = await selectUnited(db, uuids)
  const runs = new Map<number, UnitedRun>()
  for (const row of rows) if (row.part === RUN) runs.set(row.run, toRun(row))
  for (const row of rows) {
    const run = runs.get(row.run)
    if (run === undefined) continue
    const entry = { key: row.key_id, value: row.t1 }
    if (row.part === METRIC) run.metrics.push(toMetric(row))
    else if (row.part === PARAM) run.params.push(entry)
    else if (row.part === TAG) run.tags.push(entry)
    else if (row.part === BLOCK) run.blocks.push(row.data)
  }
  for (const { metrics, params, tags } of runs.values()) {
    for (const list of [metrics, params, tags]) list.sort((a, b) => a.key - b.key)
  }
  return [...runs.values()]
}

function toRun(row: UnitedRow): UnitedRun {
  return {
    row: {
      id: row.run,
      experiment: row.key_id,
      uuid: row.t1,
      name: row.t2,
      user_id: row.t3,
      status: Number(row.n1),
      start_time: row.n2,
      end_time: row.n3,
      artifact_uri: row.t4,
      stage: row.n4,
      deleted_time: row.n5,
    },
    doc: row.doc,
    hasInputs: row.n6 === 1,
    metrics: [],
    params: [],
    tags: [],
    blocks: [],
  }
}

function toMetric({ key_id, value, n1, n2, n4 }: UnitedRow): LatestMetric {
  return { key: key_id, value, is_nan: n4, step: n1, ts: n2 }
}
