import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type { DataCaptureConfig } from '../operations/endpoint-config-input.ts'
import type { ObjectStore } from '../s3/object-store.ts'
import { parseS3Uri } from '../s3/object-transfer.ts'
import { putObject } from '../s3/objects.ts'

const RECORDS_MAX = 1_000

/** A request and its answer, to be kept. */
export interface CapturedCall {
  endpoint: string
  variant: string
  eventId: string
  timeMs: number
  input: CapturedBody
  output: CapturedBody
  customAttributes: string | undefined
  inferenceId: string | undefined
}

interface CapturedBody {
  contentType: string
  body: Buffer
}

const waiting = new Map<string, { lines: string[]; isWriting: boolean }>()

/** Whether a request is among those that are kept. */
export function isSampled(config: DataCaptureConfig | undefined): config is DataCaptureConfig {
  if (!config || config.EnableCapture === false) return false
  return Math.random() * 100 < config.InitialSamplingPercentage
}

/**
 * Writes calls as SageMaker lays them out: one JSON document a line in
 * `<destination>/<endpoint>/<variant>/yyyy/mm/dd/hh/mm-ss-mmm-<id>.jsonl`. What comes while a file is
 * written goes into the next one.
 */
export async function captureCall(
  store: ObjectStore,
  config: DataCaptureConfig,
  call: CapturedCall,
): Promise<void> {
  const { bucket, key } = parseS3Uri(config.DestinationS3Uri)
  const time = new Date(call.timeMs).toISOString()
  const date = time.slice(0, 10).replaceAll('-', '/')
  const folder = [key.replace(/\/+$/, ''), call.endpoint, call.variant, date, time.slice(11, 13)]
    .filter((part) => part !== '')
    .join('/')
  const place = `${bucket}/${folder}`
  const queue = waiting.get(place) ?? { lines: [], isWriting: false }
  waiting.set(place, queue)
  queue.lines.push(`${JSON.stringify(record(config, call))}\n`)
  if (queue.isWriting) return
  queue.isWriting = true
  try {
    while (queue.lines.length > 0) {
      const lines = queue.lines.splice(0, RECORDS_MAX)
      const now = new Date().toISOString()
      const name = `${now.slice(14, 16)}-${now.slice(17, 19)}-${now.slice(20, 23)}-${randomUUID()}`
      await putObject(store, {
        bucket,
        key: `${folder}/${name}.jsonl`,
        body: Readable.from([Buffer.from(lines.join(''))]),
      })
    }
  } finally {
    waiting.delete(place)
  }
}

function record(config: DataCaptureConfig, call: CapturedCall): object {
  const modes = config.CaptureOptions.map(({ CaptureMode }) => CaptureMode)
  const has = (mode: 'Input' | 'Output') => modes.includes(mode) || modes.includes('InputAndOutput')
  return {
    captureData: {
      ...(has('Input') ? { endpointInput: captured(config, call.input, 'INPUT') } : {}),
      ...(has('Output') ? { endpointOutput: captured(config, call.output, 'OUTPUT') } : {}),
    },
    eventMetadata: {
      eventId: call.eventId,
      ...(call.customAttributes ? { customAttributes: [call.customAttributes] } : {}),
      ...(call.inferenceId ? { inferenceId: call.inferenceId } : {}),
      inferenceTime: new Date(call.timeMs).toISOString().replace(/\.\d+Z$/, 'Z'),
    },
    eventVersion: '0',
  }
}

/** Bodies are base64 unless the configuration says of their type that they are text. */
function captured(
  { CaptureContentTypeHeader }: DataCaptureConfig,
  { contentType, body }: CapturedBody,
  mode: 'INPUT' | 'OUTPUT',
): object {
  const type = contentType.split(';')[0]?.trim() ?? ''
  const encoding = CaptureContentTypeHeader?.CsvContentTypes?.includes(type)
    ? 'CSV'
    : CaptureContentTypeHeader?.JsonContentTypes?.includes(type)
      ? 'JSON'
      : 'BASE64'
  return {
    observedContentType: contentType,
    mode,
    data: body.toString(encoding === 'BASE64' ? 'base64' : 'utf8'),
    encoding,
  }
}
