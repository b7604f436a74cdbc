import { isDeepStrictEqual } from 'node:util'
import { sql } from 'kysely'
import { type Db, kindOf } from './db/dialect.ts'
import { decodeBlockInto } from './metrics/block-codec.ts'
import { decodeChunk } from './metrics/chunk-codec.ts'
import { PointsBuilder } from './metrics/points.ts'
import { summarise } from './metrics/summary.ts'
import { buildRunJson, findRunById } from './tracking/run-reading.ts'

/** Statements that find no row in a database where every write is there as a whole. */
const ORPHANS: Record<string, string> = {
  'a run without its experiment': `
    select uuid from run where experiment not in (select id from experiment)`,
  'a row of a run that does not exist': ['metric_tail', 'metric_chunk', 'metric_latest', 'param']
    .concat(['tag', 'run_doc', 'run_dataset', 'run_dataset_tag', 'run_model'])
    .map((table) => `select '${table}', run from ${table} where run not in (select id from run)`)
    .join(' union all '),
  'a row with another experiment than its run': ['metric_tail', 'metric_chunk', 'metric_latest']
    .concat(['param', 'tag', 'run_dataset'])
    .map(
      (table) => `select '${table}', t.run from ${table} t join run r on r.id = t.run
        where t.experiment <> r.experiment`,
    )
    .join(' union all '),
  'a key without a name': ['metric_latest', 'param', 'tag']
    .map(
      (table) =>
        `select '${table}', t.key from ${table} t where t.key not in (select id from key_name)`,
    )
    .join(' union all '),
  'a name that differs from its tag': `
    select r.uuid, r.name, t.value from run r join tag t on t.run = r.id
    join key_name k on k.id = t.key and k.name = 'mlflow.runName' where t.value <> r.name`,
  'a dataset of another experiment than its run': `
    select l.run, l.dataset from run_dataset l join dataset d on d.id = l.dataset
    where d.experiment <> l.experiment`,
  'a tag of a dataset that the run does not have': `
    select run, dataset from run_dataset_tag
    where (run, dataset) not in (select run, dataset from run_dataset)`,
  'a version above the highest one given out': `
    select m.name, v.version from model_version v join registered_model m on m.id = v.model
    where v.version > m.last_version`,
  'an alias of a version that does not exist': `
    select model, alias from registered_model_alias
    where (model, version) not in (select model, version from model_version)`,
  'an experiment or model without its location': `
    select name from experiment where artifact_location = ''
    union all select model_id from logged_model where artifact_location = ''`,
  'a deleted run without its time, or the other way round': `
    select uuid from run where (stage = 1) <> (deleted_time is not null)`,
}

/**
 * Everything in a database of ours that cannot be there, as of one moment of it; in a SQLite file,
 * where no server is running on it.
 */
export async function checkDatabase(db: Db): Promise<string[]> {
  if (kindOf(db) !== 'sqlite') {
    return db.transaction().setIsolationLevel('repeatable read').execute(findBrokenRows)
  }
  return [...(await findBrokenFile(db)), ...(await findBrokenRows(db))]
}

async function findBrokenRows(db: Db): Promise<string[]> {
  const broken: string[] = []
  for (const [what, statement] of Object.entries(ORPHANS)) {
    const { rows } = await sql.raw<Record<string, unknown>>(statement).execute(db)
    if (rows.length > 0) broken.push(`${what}: ${JSON.stringify(rows[0])} (${rows.length} in all)`)
  }
  broken.push(...(await findWrongSummaries(db)), ...(await findStaleDocuments(db)))
  return broken
}

async function findBrokenFile(db: Db): Promise<string[]> {
  const integrity = await sql.raw<Record<string, unknown>>('PRAGMA integrity_check').execute(db)
  const foreign = await sql.raw('PRAGMA foreign_key_check').execute(db)
  return [
    ...(integrity.rows[0]?.['integrity_check'] === 'ok' ? [] : [JSON.stringify(integrity.rows[0])]),
    ...(foreign.rows.length === 0 ? [] : [`foreign key: ${JSON.stringify(foreign.rows[0])}`]),
  ]
}

/** Summaries that differ from a scan of all points that were folded into them. */
async function findWrongSummaries(db: Db): Promise<string[]> {
  const wrong: string[] = []
  const runs = await sql<{ run: number }>`
    select run from metric_tail union select run from metric_chunk union select run from metric_latest
  `.execute(db)
  for (const { run } of runs.rows) {
    const builder = new PointsBuilder()
    const chunks = await db
      .selectFrom('metric_chunk')
      .select('data')
      .where('run', '=', run)
      .execute()
    for (const { data } of chunks) builder.append(decodeChunk(data))
    const tail = db.selectFrom('metric_tail').select('data').where('run', '=', run)
    for (const { data } of await tail.where('folded', '=', 1).execute())
      decodeBlockInto(builder, data)
    const scanned = summarise(builder.points()).sort((a, b) => a.key - b.key)
    const stored = await db
      .selectFrom('metric_latest')
      .selectAll()
      .where('run', '=', run)
      .orderBy('key')
      .execute()
    const expected = scanned.map(({ key, last, first, min, max }) => {
      const value = zeroForNan(last.value)
      const start = { first: zeroForNan(first.value), first_step: first.step }
      return { key, step: last.step, ts: last.timestamp, value, min, max, ...start }
    })
    const found = stored.map(({ key, step, ts, value, min, max, first, first_step }) => {
      return { key, step, ts, value, min, max, first, first_step }
    })
    if (isDeepStrictEqual(expected, found)) continue
    wrong.push(
      `the summaries of run ${run}: ${shown(found)} for points that give ${shown(expected)}`,
    )
  }
  return wrong
}

function zeroForNan(value: number): number {
  return Number.isNaN(value) ? 0 : value
}

/** Documents of ended runs that differ from what their rows give. */
async function findStaleDocuments(db: Db): Promise<string[]> {
  const stale: string[] = []
  for (const { run, data } of await db.selectFrom('run_doc').selectAll().execute()) {
    const row = await findRunById(db, run)
    const built = row && (await buildRunJson(db, row))
    if (built !== data) stale.push(`the document of run ${run}: ${data} for ${built}`)
  }
  return stale
}

function shown(value: unknown): string {
  return JSON.stringify(value, (_, nested) => (typeof nested === 'bigint' ? `${nested}n` : nested))
}
