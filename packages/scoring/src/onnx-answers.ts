import { ApiError } from '@millrace/api/errors'
import { type OnnxModel, predictOnnx } from './onnx-model.ts'
import { parsePythonJson } from './python-json.ts'
import { readCsv } from './read-csv.ts'
import { readJsonBody, type ScoringInput } from './scoring-body.ts'
import type { Answer } from './worker-process.ts'

/** The MLflow whose answers these are. */
export const ANSWERS_OF = '3.17.2'

const JSON_TYPE = 'application/json'
const START = '{"predictions": '
// What MLflow 1.x took as `format`, and the key that it has had since.
const OLD_FORMATS: Record<string, string> = {
  'pandas-split': 'dataframe_split',
  'pandas-records': 'dataframe_records',
}

/**
 * Answers one request to `/invocations` (MLflow 3.17 `scoring_server.invocations`), and those in the
 * JSON of MLflow 1.x as `scoring_worker.py` does.
 *
 * @returns the answer, refusals included
 */
export async function answerOnnx(
  model: OnnxModel,
  contentType: string,
  body: Buffer,
): Promise<Answer> {
  const old = oldFormat(contentType)
  if (old) {
    if (parsed(body) == null) return answerToday(model, old.contentType, body)
    return answerOld(model, old, body)
  }
  const answer = await answerToday(model, contentType, body)
  if (answer.status !== 400 || mimeType(contentType) !== JSON_TYPE) return answer
  const key = keyOfOldShape(body)
  return key ? answerOld(model, { contentType, key }, body) : answer
}

async function answerOld(
  model: OnnxModel,
  { contentType, key }: { contentType: string; key: string },
  body: Buffer,
): Promise<Answer> {
  const wrapped = Buffer.concat([Buffer.from(`{"${key}": `), body, Buffer.from('}')])
  const answer = await answerToday(model, contentType, wrapped)
  const notice =
    'The request is in the format of MLflow 1.x; since MLflow 2.0 it is written ' +
    `{"${key}": ...} with the type application/json, and the answer is {"predictions": ...}`
  if (answer.status !== 200) return { ...answer, notice }
  return { ...answer, notice, body: answer.body.subarray(START.length, -1) }
}

async function answerToday(model: OnnxModel, contentType: string, body: Buffer): Promise<Answer> {
  const [mime = '', ...parameters] = contentType.split(';').map((part) => part.trim())
  const values = new Map(
    parameters.map((pair) => {
      const [key = '', ...value] = pair.split('=')
      return [key, value.join('=')]
    }),
  )
  if ((values.get('charset') ?? 'utf-8').toLowerCase() !== 'utf-8') {
    return plain('The scoring server only supports UTF-8')
  }
  values.delete('charset')
  if (values.size > 0) {
    return plain(`Unrecognized content type parameters: ${[...values.keys()].join(', ')}.`)
  }
  if (mime !== JSON_TYPE && mime !== 'text/csv') {
    return plain(
      'This predictor only supports the following content types: Types: ' +
        `['text/csv', 'application/json']. Got '${contentType}'.`,
    )
  }
  try {
    const input =
      mime === JSON_TYPE ? readJsonBody(body, model.signature) : readCsvBody(model, body)
    const text = await predictOnnx(model, input)
    return { status: 200, contentType: JSON_TYPE, body: Buffer.from(text) }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    const problem = { error_code: error.code, message: error.message }
    const text = JSON.stringify(problem)
    return { status: error.status, contentType: JSON_TYPE, body: Buffer.from(text) }
  }
}

function readCsvBody(model: OnnxModel, body: Buffer): ScoringInput {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    throw new ApiError(
      'BAD_REQUEST',
      'Invalid input. Ensure that input is a valid UTF-8 encoded string.',
    )
  }
  return { kind: 'table', table: readCsv(text, model.signature) }
}

function plain(text: string): Answer {
  return { status: 415, contentType: 'text/plain; charset=utf-8', body: Buffer.from(text) }
}

function mimeType(contentType: string): string {
  return contentType.split(';')[0]?.trim() ?? ''
}

function oldFormat(contentType: string): { contentType: string; key: string } | undefined {
  const parts = contentType.split(';').map((part) => part.trim())
  const formats = parts.slice(1).filter((part) => part.startsWith('format='))
  const key = OLD_FORMATS[formats[0]?.slice('format='.length) ?? '']
  if (parts[0] !== JSON_TYPE || formats.length !== 1 || key === undefined) return undefined
  return { contentType: parts.filter((part) => part !== formats[0]).join('; '), key }
}

/** The key that a body is missing which holds nothing but rows, or columns and their rows. */
function keyOfOldShape(body: Buffer): string | undefined {
  if (!/^\s*\[/.test(body.toString('latin1', 0, 100)) && !body.includes('"columns"'))
    return undefined
  const value = parsed(body)
  if (Array.isArray(value) && value.length > 0 && value.every((row) => row instanceof Map)) {
    return 'dataframe_records'
  }
  if (!(value instanceof Map) || !value.has('columns') || !value.has('data')) return undefined
  const isSplit = [...value.keys()].every((key) => ['columns', 'data', 'index'].includes(key))
  return isSplit ? 'dataframe_split' : undefined
}

function parsed(body: Buffer) {
  try {
    return parsePythonJson(body.toString())
  } catch {
    return undefined
  }
}
