import { invalid } from '@millrace/api/errors'
import { formatRow, parseRow } from './csv-row.ts'
import { type Filter, type Json, parseFilter } from './json-filter.ts'

/** How records are changed before they go to the model and after they come back. */
export interface DataProcessing {
  InputFilter?: string | undefined
  OutputFilter?: string | undefined
  JoinSource?: 'Input' | 'None' | undefined
}

type Format = 'csv' | 'json'

/** What a job does with its records. */
export interface RecordProcessing {
  /** A record as the model gets it. */
  toModel(record: Buffer): Buffer
  /** The records of an answer, joined and filtered, each as it is written. */
  fromModel(records: Buffer[], answer: Buffer, answerType: string): Buffer[]
}

/**
 * The filters and the join of a job; undefined when it has none, and bodies pass unread.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for filters that cannot be read or have no structured input
 */
export function recordProcessing(
  { InputFilter = '$', OutputFilter = '$', JoinSource = 'None' }: DataProcessing,
  contentType: string | undefined,
): RecordProcessing | undefined {
  const inputFilter = parseFilter(InputFilter)
  const outputFilter = parseFilter(OutputFilter)
  const isJoined = JoinSource === 'Input'
  if (InputFilter === '$' && OutputFilter === '$' && !isJoined) return undefined
  const format = formatOf(contentType ?? '')
  if (!format) {
    throw invalid(
      `DataProcessing needs input of the type text/csv, application/json or application/jsonlines, not '${contentType ?? ''}'.`,
    )
  }
  return {
    toModel: (record) =>
      InputFilter === '$' ? record : write(filtered(inputFilter, read(record, format)), format),
    fromModel(records, answer, answerType) {
      if (OutputFilter === '$' && !isJoined) return [answer]
      const outputs = readAnswer(answer, answerType, records.length)
      if (!isJoined) {
        return outputs.map((output) => write(filtered(outputFilter, output), format))
      }
      if (outputs.length !== records.length) {
        throw invalid(
          `The model answered ${outputs.length} records to ${records.length}: JoinSource needs one for each.`,
        )
      }
      return outputs.map((output, index) => {
        const input = read(records[index] ?? Buffer.alloc(0), format)
        return write(filtered(outputFilter, join(input, output, format)), format)
      })
    },
  }
}

function formatOf(contentType: string): Format | undefined {
  const type = contentType.split(';')[0]?.trim().toLowerCase()
  if (type === 'text/csv') return 'csv'
  return type === 'application/json' || type === 'application/jsonlines' ? 'json' : undefined
}

function read(record: Buffer, format: Format): Json {
  const text = record.toString('utf8')
  if (format === 'csv') return parseRow(text)
  return parseJson(text)
}

function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    throw invalid(`A record is not JSON: ${text.slice(0, 100)}`)
  }
}

function write(value: Json, format: Format): Buffer {
  if (format === 'json') return Buffer.from(JSON.stringify(value))
  const fields = Array.isArray(value) ? value : [value]
  return Buffer.from(formatRow(fields.flatMap(textsOf)))
}

function textsOf(value: Json): string[] {
  if (typeof value === 'string') return [value]
  if (Array.isArray(value)) return value.flatMap(textsOf)
  return [value === null ? '' : JSON.stringify(value)]
}

function filtered(filter: Filter, value: Json): Json {
  const found = filter(value)
  if (found !== undefined) return found
  throw invalid(`A filter finds nothing in the record ${JSON.stringify(value).slice(0, 200)}.`)
}

/** One value for each record: lines, or the predictions of a scoring server of MLflow. */
function readAnswer(answer: Buffer, answerType: string, count: number): Json[] {
  const text = answer.toString('utf8')
  const format = formatOf(answerType)
  const isLines = /jsonlines/.test(answerType)
  if (format === 'json' && !isLines) {
    const document = parseJson(text)
    const list = Array.isArray(document) ? document : predictionsOf(document)
    return list?.length === count && (count > 1 || !Array.isArray(document)) ? list : [document]
  }
  const lines = text.split(/\r?\n/).filter((line) => line !== '')
  return lines.map((line) => (format === 'json' ? parseJson(line) : parseRow(line)))
}

function predictionsOf(document: Json): Json[] | undefined {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return undefined
  const { predictions } = document
  return Array.isArray(predictions) ? predictions : undefined
}

/** SageMaker's join: what is predicted follows the columns, or is `SageMakerOutput`. */
function join(input: Json, output: Json, format: Format): Json {
  if (format === 'csv') {
    return [
      ...(Array.isArray(input) ? input : [input]),
      ...(Array.isArray(output) ? output : [output]),
    ]
  }
  const isObject = typeof input === 'object' && input !== null && !Array.isArray(input)
  return isObject
    ? { ...input, SageMakerOutput: output }
    : { SageMakerInput: input, SageMakerOutput: output }
}
