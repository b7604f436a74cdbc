import type { Run } from '@millrace/api/runs'
import { compileOnce, type Db } from '../db/dialect.ts'
import { keyNames } from '../db/key-names.ts'
import type { Int64 } from '../db/schema.ts'
import { listInputs, type RunInputs } from './run-input-store.ts'
import { hasEnded, type RunRow, toWireInfo } from './run-store.ts'

/** The run with that internal id, or undefined. */
export async function findRunById(db: Db, id: number): Promise<RunRow | undefined> {
  return db.selectFrom('run').selectAll().where('id', '=', id).executeTakeFirst()
}

interface LatestMetric {
  key: number
  value: number
  is_nan: number
  step: Int64
  ts: Int64
}

const selectMetrics = compileOnce<{ run: number }, LatestMetric>((db, param) =>
  db
    .selectFrom('metric_latest')
    .select(['key', 'value', 'is_nan', 'step', 'ts'])
    .where('run', '=', param('run')),
)

const selectParams = compileOnce<{ run: number }, { key: number; value: string }>((db, param) =>
  db.selectFrom('param').select(['key', 'value']).where('run', '=', param('run')),
)

const selectTags = compileOnce<{ run: number }, { key: number; value: string }>((db, param) =>
  db.selectFrom('tag').select(['key', 'value']).where('run', '=', param('run')),
)

const selectDoc = compileOnce<{ run: number }, { data: string }>((db, param) =>
  db.selectFrom('run_doc').select('data').where('run', '=', param('run')),
)

/**
 * A run as JSON text, as `runs/get` and `runs/search` send it: the document of an ended run, or
 * else made from its rows. Its metrics must be folded.
 */
export async function readRunJson(db: Db, row: RunRow): Promise<string> {
  if (hasEnded(row)) {
    const [doc] = await selectDoc(db, { run: row.id })
    if (doc !== undefined) return doc.data
  }
  return buildRunJson(db, row)
}

/** A run's JSON text from its rows. */
export async function buildRunJson(db: Db, row: RunRow): Promise<string> {
  const names = keyNames(db)
  const metrics = await selectMetrics(db, { run: row.id })
  const params = await selectParams(db, { run: row.id })
  const tags = await selectTags(db, { run: row.id })
  for (const rows of [metrics, params, tags]) {
    await names.load(
      db,
      rows.map(({ key }) => key),
    )
  }
  const inputs = await listInputs(db, row.id)

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
