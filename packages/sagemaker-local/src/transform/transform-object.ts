import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { createGunzip } from 'node:zlib'
import { callServer, NoServerAnswer, type ServerAnswer } from '../endpoints/call-server.ts'
import type { NamedObject } from '../runner/training/download-channel.ts'
import type { ObjectStore } from '../s3/object-store.ts'
import { type S3Location, uploadFile } from '../s3/object-transfer.ts'
import { readObject } from '../s3/objects.ts'
import type { RecordProcessing } from './process-records.ts'
import { type Batch, batchRecords, type SplitType, splitRecords } from './split-records.ts'

const ANSWER_BYTES_MAX = 512 * 2 ** 20
const RETRY_MS = 500

/** How the objects of a job go through its model. */
export interface TransformSettings {
  contentType: string | undefined
  accept: string | undefined
  isGzip: boolean
  splitType: SplitType
  isSingle: boolean
  /** Infinity when a whole object may be sent whatever its size. */
  bytesMax: number
  isAssembledByLine: boolean
  concurrency: number
  timeoutMs: number
  retries: number
  processing: RecordProcessing | undefined
  hasHeader: boolean
}

export interface TransformPlace {
  input: NamedObject
  output: S3Location
  /** Where the answers are collected before they are uploaded. */
  file: string
  /** Where the server is now. */
  port: () => number
}

/** Why a model's answer ends a job: completes `ClientError: ` or `AlgorithmError: `. */
export class TransformFailure extends Error {
  readonly kind: 'ClientError' | 'AlgorithmError'

  constructor(kind: TransformFailure['kind'], message: string) {
    super(message)
    this.kind = kind
  }
}

/**
 * Sends the records of one object to a server, some requests at a time, and writes the answers in the
 * order of the records as one object.
 *
 * @throws TransformFailure, ApiError or S3Error
 */
export async function transformObject(
  store: ObjectStore,
  place: TransformPlace,
  settings: TransformSettings,
  signal: AbortSignal,
): Promise<void> {
  const { file, input, output } = place
  try {
    await pipeline(
      answersOf(store, place, settings, signal),
      createWriteStream(file, { flags: 'w' }),
      { signal },
    )
    await uploadFile(store, file, output)
  } catch (error) {
    if (signal.aborted || !(error instanceof Error && 'code' in error)) throw error
    if (!String(error.code).startsWith('Z_')) throw error
    throw new TransformFailure(
      'ClientError',
      `s3://${input.bucket}/${input.key} is not compressed by gzip, as CompressionType says.`,
    )
  } finally {
    await rm(file, { force: true })
  }
}

async function* answersOf(
  store: ObjectStore,
  place: TransformPlace,
  settings: TransformSettings,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const waiting: Promise<Buffer>[] = []
  for await (const batch of batchesOf(store, place, settings)) {
    const answer = answerTo(batch, place, settings, signal)
    // Told when its turn comes.
    answer.catch(() => undefined)
    waiting.push(answer)
    if (waiting.length < settings.concurrency) continue
    const next = waiting.shift()
    if (next) yield await next
  }
  for (const answer of waiting) yield await answer
}

async function* batchesOf(
  store: ObjectStore,
  { input }: TransformPlace,
  { isGzip, splitType, bytesMax, isSingle, hasHeader, processing }: TransformSettings,
): AsyncGenerator<Batch & { originals: Buffer[] }> {
  const { body } = await readObject(store, { bucket: input.bucket, key: input.key })
  const plain: AsyncIterable<Uint8Array> = isGzip ? body.pipe(createGunzip()) : body
  const records = splitRecords(plain, splitType, bytesMax)[Symbol.asyncIterator]()
  const first = hasHeader ? await records.next() : undefined
  const header = first && !first.done ? first.value : undefined
  const originals = new Map<Buffer, Buffer>()
  async function* rest() {
    for (;;) {
      const next = await records.next()
      if (next.done) return
      const record = processing ? processing.toModel(next.value) : next.value
      originals.set(record, next.value)
      yield record
    }
  }
  const asked = header && processing ? processing.toModel(header) : header
  for await (const batch of batchRecords(rest(), {
    isSingle,
    splitType,
    bytesMax,
    header: asked,
  })) {
    yield { ...batch, originals: batch.records.map((record) => originals.get(record) ?? record) }
    for (const record of batch.records) originals.delete(record)
  }
}

async function answerTo(
  batch: Batch & { originals: Buffer[] },
  place: TransformPlace,
  settings: TransformSettings,
  signal: AbortSignal,
): Promise<Buffer> {
  const { body, headers } = await ask(batch.body, place, settings, signal)
  const type = headers['content-type'] ?? settings.accept ?? ''
  const parts = settings.processing
    ? settings.processing.fromModel(batch.originals, body, type)
    : [body]
  if (!settings.isAssembledByLine) return Buffer.concat(parts)
  const newline = Buffer.from('\n')
  return Buffer.concat(parts.flatMap((part) => (part.at(-1) === 0x0a ? [part] : [part, newline])))
}

async function ask(
  body: Buffer,
  { input, port }: TransformPlace,
  { contentType, accept, timeoutMs, retries }: TransformSettings,
  signal: AbortSignal,
): Promise<ServerAnswer> {
  for (let tries = 0; ; tries += 1) {
    const answer = await callServer({
      port: port(),
      headers: {
        ...(contentType === undefined ? {} : { 'content-type': contentType }),
        ...(accept === undefined ? {} : { accept }),
      },
      body,
      timeoutMs,
      answerBytesMax: ANSWER_BYTES_MAX,
      signal,
    }).catch((error: unknown) => {
      if (signal.aborted || !(error instanceof NoServerAnswer)) throw error
      return error
    })
    if (!(answer instanceof NoServerAnswer) && answer.status >= 200 && answer.status < 300) {
      return answer
    }
    const isClients =
      !(answer instanceof NoServerAnswer) && answer.status < 500 && answer.status !== 429
    if (!isClients && tries < retries) {
      await wait(RETRY_MS * 2 ** tries, undefined, { signal })
      continue
    }
    throw failureOf(answer, input)
  }
}

function failureOf(answer: ServerAnswer | NoServerAnswer, { bucket, key }: NamedObject) {
  const of = `a request with records of s3://${bucket}/${key}`
  if (answer instanceof NoServerAnswer) {
    const reason = answer.kind === 'timeout' ? 'in time (ModelClientConfig)' : `(${answer.message})`
    return new TransformFailure('AlgorithmError', `The model did not answer ${of} ${reason}.`)
  }
  const text = answer.body.toString('utf8').slice(0, 600)
  return new TransformFailure(
    answer.status < 500 ? 'ClientError' : 'AlgorithmError',
    `The model answered ${of} with the status ${answer.status}: ${text}`,
  )
}
