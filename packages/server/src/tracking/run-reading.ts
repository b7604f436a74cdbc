import type { Run } from '@millrace/api/runs'
import { compileOnce, type Db, inPieces } from '../db/dialect.ts'
import { keyNames } from '../db/key-names.ts'
import { listInputs, NO_INPUTS, type RunInputs } from './run-input-store.ts'
import { hasEnded, type RunRow, toWireInfo } from './run-store.ts'
import { addUnfolded, type LatestMetric } from './unfolded-metrics.ts'

/** The run with that internal id, or undefined. */
export async function findRunById(db: Db, id: number): Promise<RunRow | undefined> {
  return db.selectFrom('run').selectAll().where('id', '=', id).executeTakeFirst()
}

const selectMetrics = compileOnce<{ run: number }, LatestMetric>((db, param) =>
  db
    .selectFrom('metric_latest')
    .select(['key', 'value', 'is_nan', 'step', 'ts'])
    .where('run', '=', param('run'))
    .orderBy('key'),
)

const selectParams = compileOnce<{ run: number }, { key: number; value: string }>((db, param) =>
  db.selectFrom('param').select(['key', 'value']).where('run', '=', param('run')).orderBy('key'),
)

const selectTags = compileOnce<{ run: number }, { key: number; value: string }>((db, param) =>
  db.selectFrom('tag').select(['key', 'value']).where('run', '=', param('run')).orderBy('key'),
)

const selectDoc = compileOnce<{ run: number }, { data: string }>((db, param) =>
  db.selectFrom('run_doc').select('data').where('run', '=', param('run')),
)

/**
 * A run as JSON text, as `runs/get` and `runs/search` send it: the document of an ended run, or
 * else made from its rows; then `onUnfolded` is told how many blocks of points no summary knows yet.
 */
export async function readRunJson(
  db: Db,
  row: RunRow,
  onUnfolded?: (blocks: number) => void,
): Promise<string> {
  if (hasEnded(row)) {
    const [doc] = await selectDoc(db, { run: row.id })
    if (doc !== undefined) return doc.data
  }
  return buildRunJson(db, row, onUnfolded)
}

/** A page of runs as JSON texts, in a number of statements that does not grow with the page. */
export async function readRunTexts(db: Db, rows: readonly RunRow[]): Promise<string[]> {
  const [row] = rows
  if (rows.length === 1 && row !== undefined) return [await readRunJson(db, row)]
  const texts = new Map<number, string>()
  for (const runs of inPieces(rows.filter(hasEnded).map(({ id }) => id))) {
    const docs = await db.selectFrom('run_doc').selectAll().where('run', 'in', runs).execute()
    for (const { run, data } of docs) texts.set(run, data)
  }
  for (const others of inPieces(rows.filter(({ id }) => !texts.has(id)))) {
    for (const [id, text] of await buildRunTexts(db, others)) texts.set(id, text)
  }
  return rows.map(({ id }) => texts.get(id) ?? '')
}

async function buildRunTexts(db: Db, rows: readonly RunRow[]): Promise<[number, string][]> {
  const runs = rows.map(({ id }) => id)
  const metrics = await db
    .selectFrom('metric_latest')
    .select(['run', 'key', 'value', 'is_nan', 'step', 'ts'])
    .where('run', 'in', runs)
    .orderBy('run')
    .orderBy('key')
    .execute()
  const entries = async (table: 'param' | 'tag') =>
    Map.groupBy(
      await db
        .selectFrom(table)
        .select(['run', 'key', 'value'])
        .where('run', 'in', runs)
        .orderBy('run')
        .orderBy('key')
        .execute(),
      ({ run }) => run,
    )
  const metricsByRun = new Map<number, LatestMetric[]>(Map.groupBy(metrics, ({ run }) => run))
  await addUnfolded(db, rows, metricsByRun)
  const [params, tags] = [await entries('param'), await entries('tag')]
  const inputs = await listInputs(db, runs)
  const texts: [number, string][] = []
  for (const row of rows) {
    const data = {
      metrics: metricsByRun.get(row.id) ?? [],
      params: params.get(row.id) ?? [],
      tags: tags.get(row.id) ?? [],
      inputs: inputs.get(row.id) ?? NO_INPUTS,
    }
    texts.push([row.id, await runText(db, row, data)])
  }
  return texts
}

/** A run's JSON text from its rows. */
export async function buildRunJson(
  db: Db,
  row: RunRow,
  onUnfolded?: (blocks: number) => void,
): Promise<string> {
  const run = row.id
  const latest = new Map([[run, await selectMetrics(db, { run })]])
  const blocks = await addUnfolded(db, [row], latest)
  onUnfolded?.(blocks)
  const metrics = latest.get(run) ?? []
  const params = await selectParams(db, { run })
  const tags = await selectTags(db, { run })
  const inputs = (await listInputs(db, [run])).get(run) ?? NO_INPUTS
  return runText(db, row, { metrics, params, tags, inputs })
}

/** What a run has besides itself. */
export interface RunData {
  metrics: readonly LatestMetric[]
  params: readonly { key: number; value: string }[]
  tags: readonly { key: number; value: string }[]
  inputs: RunInputs
}

/** A run's JSON text from what is known of it; metrics, params and tags by key. */
export async function runText(
  db: Db,
  row: RunRow,
  { metrics, params, tags, inputs }: RunData,
): Promise<string> {
  const names = keyNames(db)
  for (const rows of [metrics, params, tags]) {
    await names.load(
      db,
      rows.map(({ key }) => key),
    )
  }
  const metricTexts = metrics.map(
    ({ key, value, is_nan, step, ts }) =>
      `{"key":${quotedName(names.known(key))},"value":${is_nan ? '"NaN"' : doubleText(value)},"timestamp":${ts},"step":${step}}`,
  )
  const pair = ({ key, value }: { key: number; value: string }) =>
    `{"key":${quotedName(names.known(key))},"value":${JSON.stringify(value)}}`
  const data = [
    list('metrics', metricTexts),
    list('params', params.map(pair)),
    list('tags', tags.map(pair)),
  ]
  return `{"info":${infoText(row)},"data":{${data.filter(Boolean).join(',')}},${inputsText(inputs)}}`
}

/** Those runs of some experiments whose latest metrics are not all summarised. */
export async function listUnfolded(db: Db, experiments: readonly number[]): Promise<number[]> {
  const unfolded: number[] = []
  for (const piece of inPieces(experiments)) {
    const rows = await db
      .selectFrom('metric_tail')
      .select('run')
      .distinct()
      .where('experiment', 'in', piece)
      .where('folded', '=', 0)
      .execute()
    unfolded.push(...rows.map(({ run }) => run))
  }
  return unfolded
}

/** A run without data, as `runs/create` answers it. */
export function newRun(row: RunRow, tags: { key: string; value: string }[]): Run {
  return { info: toWireInfo(row), data: { tags }, inputs: {} }
}

const quotedNames = new Map<string, string>()

function quotedName(name = ''): string {
  let quoted = quotedNames.get(name)
  if (quoted === undefined) {
    quoted = JSON.stringify(name)
    quotedNames.set(name, quoted)
  }
  return quoted
}

/** JSON has no -0 of its own in `String`; protobuf keeps the sign. */
export function doubleText(value: number): string {
  return Object.is(value, -0) ? '-0.0' : String(value)
}

function list(name: string, texts: string[]): string {
  return texts.length === 0 ? '' : `"${name}":[${texts.join(',')}]`
}

function infoText(row: RunRow): string {
  const { start_time, end_time, ...info } = toWireInfo(row)
  const times = end_time === undefined ? '' : `,"end_time":${end_time}`
  return `${JSON.stringify(info).slice(0, -1)},"start_time":${start_time}${times}}`
}

function inputsText({ datasets, inputs, outputs }: RunInputs): string {
  const inputLists = [
    list(
      'dataset_inputs',
      datasets.map((dataset) => JSON.stringify(dataset)),
    ),
    list(
      'model_inputs',
      inputs.map(({ model_id }) => JSON.stringify({ model_id })),
    ),
  ]
  const outputTexts = outputs.map(
    ({ model_id, step }) => `{"model_id":${JSON.stringify(model_id)},"step":${step}}`,
  )
  return `"inputs":{${inputLists.filter(Boolean).join(',')}},"outputs":{${list('model_outputs', outputTexts)}}`
}
