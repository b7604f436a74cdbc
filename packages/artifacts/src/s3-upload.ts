import { createHash } from 'node:crypto'
import type {
  CompletedPart,
  PutObjectCommandInput,
  UploadPartCommandOutput,
} from '@aws-sdk/client-s3'
import { type ArtifactPath, formatArtifactPath } from './artifact-path.ts'
import { objectType } from './object-entries.ts'
import { formatPartSizes, type PartSizes } from './part-sizes.ts'
import type { PartTarget, PartUpload } from './part-upload.ts'
import type { S3Bucket } from './s3-bucket.ts'
import { completeUpload } from './s3-completion.ts'
import { isDamage, toS3Failure, unavailable } from './s3-failure.ts'

const DAMAGED_TRIES_MAX = 2
/** Metadata of an object: how it was cut into parts, which its checksum is made of. */
export const PARTS_METADATA = 'sha256-parts'
/** What servers say that do not know additional checksums. */
const WITHOUT_CHECKSUMS = ['NotImplemented', 'InvalidRequest', 'InvalidArgument']

interface Target {
  bucket: S3Bucket
  key: string
  path: ArtifactPath
  signal: AbortSignal | undefined
}

/**
 * An object to be. Small ones get their SHA-256 as metadata. That has to come before the bytes, so
 * larger ones get how their parts are cut instead, and S3 keeps the SHA-256 over those of the parts.
 */
export function objectTarget(target: Target): PartTarget {
  return {
    putWhole: (bytes, sha256) => putObject(target, bytes, sha256),
    begin: (sizes) => beginParts(target, sizes),
  }
}

async function putObject(target: Target, body: Buffer, sha256: string): Promise<void> {
  const { sdk, client, base } = target.bucket
  await sendIntact(target, body, (ContentMD5) =>
    client.send(
      new sdk.PutObjectCommand({
        ...base,
        ...objectArgs(target),
        Body: body,
        ContentMD5,
        Metadata: { ...metadataOf(target), sha256 },
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
  return { Key: key, ContentType: objectType(path), ...bucket.options.uploadArgs }
}

async function beginParts(target: Target, sizes: PartSizes): Promise<PartUpload> {
  const { sdk, client, base } = target.bucket
  const UploadId = await createUpload(target, sizes)
  const hasChecksums = target.bucket.takesChecksums
  const upload = { ...base, Key: target.key, UploadId }
  const parts: CompletedPart[] = []
  return {
    async send(Body, PartNumber, { signal: abortSignal }) {
      const ChecksumSHA256 = createHash('sha256').update(Body).digest('base64')
      const checksum = hasChecksums ? { ChecksumSHA256 } : {}
      const ETag = await sendIntact(target, Body, (ContentMD5) =>
        client.send(
          new sdk.UploadPartCommand({ ...upload, ...checksum, PartNumber, Body, ContentMD5 }),
          { abortSignal },
        ),
      )
      parts.push({ PartNumber, ETag, ...checksum })
    },
    async complete() {
      const completion = { key: target.key, uploadId: UploadId, parts }
      await put(target, completeUpload(target.bucket, completion, target.signal))
    },
    async abort() {
      // The reason for giving up is what the caller needs to hear; a rule of the bucket that
      // removes unfinished uploads is for what even this cannot reach.
      await client.send(new sdk.AbortMultipartUploadCommand(upload)).catch(() => undefined)
    },
  }
}

/** Begins an upload, with S3's own SHA-256 where the server has it. */
async function createUpload(target: Target, sizes: PartSizes): Promise<string> {
  const { bucket } = target
  const { sdk, client, base } = bucket
  const Metadata = { ...metadataOf(target), [PARTS_METADATA]: formatPartSizes(sizes) }
  const create = (checksum: { ChecksumAlgorithm?: 'SHA256' }) =>
    client.send(
      new sdk.CreateMultipartUploadCommand({
        ...base,
        ...objectArgs(target),
        Metadata,
        ...checksum,
      }),
      abortable(target),
    )
  const created = bucket.takesChecksums
    ? create({ ChecksumAlgorithm: 'SHA256' }).catch((error: unknown) => {
        if (!(error instanceof Error) || !WITHOUT_CHECKSUMS.includes(error.name)) throw error
        bucket.takesChecksums = false
        return create({})
      })
    : create({})
  const { UploadId = '' } = await put(target, created)
  return UploadId
}

function metadataOf({ bucket }: Target): Record<string, string> | undefined {
  return bucket.options.uploadArgs['Metadata'] as Record<string, string> | undefined
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
