import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import type {
  CompletedPart,
  PutObjectCommandInput,
  UploadPartCommandOutput,
} from '@aws-sdk/client-s3'
import { invalid } from '@millrace/api/errors'
import { lookup } from 'mime-types'
import { type ArtifactPath, formatArtifactPath } from './artifact-path.ts'
import type { WriteOptions, WrittenArtifact } from './artifact-store.ts'
import type { S3Bucket } from './s3-bucket.ts'
import { completeUpload } from './s3-completion.ts'
import { isDamage, toS3Failure, unavailable } from './s3-failure.ts'
import { uploadChunks } from './upload-body.ts'

const MIB = 1024 * 1024
/** S3 takes parts from 5 MiB on; this is also the memory that one upload holds, twice. */
const PART_BYTES_MIN = 8 * MIB
const PART_BYTES_MAX = 64 * MIB
const PARTS_MAX = 10_000
/** Parts of an unknown size double after this many, so that 10,000 reach 300 GB. */
const PARTS_BEFORE_DOUBLING = 2_500
const DAMAGED_TRIES_MAX = 2

interface Target {
  bucket: S3Bucket
  key: string
  path: ArtifactPath
  signal: AbortSignal | undefined
}

/**
 * Uploads a body of any length while holding two parts of it. Small bodies go up in one request
 * with their SHA-256 as metadata. Whatever fails, also the body itself, leaves no parts behind.
 */
export async function uploadObject(
  bucket: S3Bucket,
  { key, path }: { key: string; path: ArtifactPath },
  body: Readable | AsyncIterable<Uint8Array>,
  options: WriteOptions,
): Promise<WrittenArtifact> {
  const target: Target = { bucket, key, path, signal: options.signal }
  const hash = createHash('sha256')
  let sizeBytes = 0
  let parts: PartUpload | undefined
  let part = newPart(partSize(0, options.sizeBytes), options.sizeBytes)
  try {
    for await (const chunk of uploadChunks(body, options)) {
      hash.update(chunk)
      sizeBytes += chunk.length
      if (sizeBytes > (options.sizeBytes ?? Infinity))
        throw invalid('The body is longer than announced')
      for (let taken = 0; taken < chunk.length; ) {
        if (part.usedBytes === part.bytes.length) {
          parts ??= await beginParts(target)
          part = await parts.send(part, partSize(parts.count + 1, options.sizeBytes))
        }
        taken += fill(part, chunk.subarray(taken))
      }
    }
    const sha256 = hash.digest('hex')
    if (parts) await parts.finish(part)
    else await putObject(target, used(part), sha256)
    return { sizeBytes, sha256 }
  } catch (error) {
    await parts?.abort()
    throw error
  }
}

interface Part {
  bytes: Buffer
  usedBytes: number
}

function newPart(partBytes: number, sizeBytes = Infinity): Part {
  return { bytes: Buffer.allocUnsafeSlow(Math.min(partBytes, sizeBytes)), usedBytes: 0 }
}

function fill(part: Part, chunk: Uint8Array): number {
  const taken = Math.min(chunk.length, part.bytes.length - part.usedBytes)
  part.bytes.set(chunk.subarray(0, taken), part.usedBytes)
  part.usedBytes += taken
  return taken
}

function used({ bytes, usedBytes }: Part): Buffer {
  return bytes.subarray(0, usedBytes)
}

/** Equal parts where the length is known, as some servers insist; growing ones where it is not. */
function partSize(partIndex: number, sizeBytes: number | undefined): number {
  const doublings = Math.floor(partIndex / PARTS_BEFORE_DOUBLING)
  const wanted =
    sizeBytes === undefined ? PART_BYTES_MIN * 2 ** doublings : Math.ceil(sizeBytes / PARTS_MAX)
  return Math.min(Math.max(wanted, PART_BYTES_MIN), PART_BYTES_MAX)
}

async function putObject(target: Target, body: Buffer, sha256: string): Promise<void> {
  const { sdk, client, base, options } = target.bucket
  const metadata = options.uploadArgs['Metadata'] as Record<string, string> | undefined
  await sendIntact(target, body, (ContentMD5) =>
    client.send(
      new sdk.PutObjectCommand({
        ...base,
        ...objectArgs(target),
        Body: body,
        ContentMD5,
        Metadata: { ...metadata, sha256 },
      }),
      abortable(target),
    ),
  )
}

/** What the new object is like, whichever way it is uploaded. */
export function objectArgs({
  bucket,
  key,
  path,
}: Pick<Target, 'bucket' | 'key' | 'path'>): Pick<PutObjectCommandInput, 'Key' | 'ContentType'> {
  const ContentType = lookup(path.at(-1) ?? '') || 'application/octet-stream'
  return { Key: key, ContentType, ...bucket.options.uploadArgs }
}

interface PartUpload {
  readonly count: number
  /** Starts to upload a full part once the one before is done; gives an empty part to fill. */
  send(part: Part, nextBytes: number): Promise<Part>
  finish(last: Part): Promise<void>
  abort(): Promise<void>
}

async function beginParts(target: Target): Promise<PartUpload> {
  const { sdk, client, base } = target.bucket
  const begin = new sdk.CreateMultipartUploadCommand({ ...base, ...objectArgs(target) })
  const { UploadId = '' } = await put(target, client.send(begin, abortable(target)))
  const upload = { ...base, Key: target.key, UploadId }
  const parts: CompletedPart[] = []
  const stop = new AbortController()
  const signal = target.signal ? AbortSignal.any([target.signal, stop.signal]) : stop.signal
  let underWay: Promise<Part> | undefined
  let count = 0

  const uploadPart = async (part: Part): Promise<Part> => {
    const PartNumber = ++count
    const Body = used(part)
    const ETag = await sendIntact(target, Body, (ContentMD5) =>
      client.send(new sdk.UploadPartCommand({ ...upload, PartNumber, Body, ContentMD5 }), {
        abortSignal: signal,
      }),
    )
    parts.push({ PartNumber, ETag })
    return part
  }
  const start = (part: Part) => {
    underWay = uploadPart(part)
    // Whoever waits for it gets the error; until then it must not end the process.
    underWay.catch(() => undefined)
  }

  return {
    get count() {
      return count
    },
    async send(part, nextBytes) {
      const free = await underWay
      if (count >= PARTS_MAX - 1) {
        throw invalid(`'${formatArtifactPath(target.path)}' is too large to pass through a server`)
      }
      start(part)
      return free?.bytes.length === nextBytes ? { ...free, usedBytes: 0 } : newPart(nextBytes)
    },
    async finish(last) {
      await underWay
      start(last)
      await underWay
      const completion = { key: target.key, uploadId: UploadId, parts }
      await put(target, completeUpload(target.bucket, completion, target.signal))
    },
    async abort() {
      stop.abort()
      await underWay?.catch(() => undefined)
      // The reason for giving up is what the caller needs to hear; a rule of the bucket that
      // removes unfinished uploads is for what even this cannot reach.
      await client.send(new sdk.AbortMultipartUploadCommand(upload)).catch(() => undefined)
    },
  }
}

/**
 * Sends bytes with their MD5, which the server checks, and compares the ETag of its answer where
 * ETags of this bucket are known to be MD5s. Of some servers they
 * never are, and nowhere under KMS encryption.
 */
async function sendIntact(
  target: Target,
  bytes: Buffer,
  send: (
    ContentMD5: string,
  ) => Promise<Pick<UploadPartCommandOutput, 'ETag' | 'ServerSideEncryption'>>,
): Promise<string | undefined> {
  const { bucket } = target
  const md5 = createHash('md5').update(bytes).digest()
  for (let tries = 1; ; tries++) {
    const isLast = tries >= DAMAGED_TRIES_MAX
    const sent = send(md5.toString('base64')).catch((error: unknown) => {
      if (isLast || !isDamage(error)) throw error
    })
    const answer = await put(target, sent)
    if (!answer) continue
    const { ETag, ServerSideEncryption } = answer
    if (ServerSideEncryption?.startsWith('aws:kms')) return ETag
    const isMd5 = ETag?.replaceAll('"', '') === md5.toString('hex')
    bucket.hasMd5Etags ||= isMd5
    if (isMd5 || !bucket.hasMd5Etags) return ETag
    if (isLast) {
      throw unavailable(
        `Bytes were damaged on their way to 's3://${bucket.name}': its ETag is of other ones`,
      )
    }
  }
}

function put<Output>({ bucket, path }: Target, answer: Promise<Output>): Promise<Output> {
  return answer.catch((error: unknown) => {
    const attempt = { bucket: bucket.name, action: 's3:PutObject' } as const
    throw toS3Failure(error, { ...attempt, path: formatArtifactPath(path) })
  })
}

function abortable({ signal }: Target) {
  return signal ? { abortSignal: signal } : {}
}
