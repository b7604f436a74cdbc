import { createHash } from 'node:crypto'
import type { CompletedPart } from '@aws-sdk/client-s3'
import type { S3Bucket } from './s3-bucket.ts'

export interface Completion {
  key: string
  uploadId: string
  /** In ascending order. */
  parts: CompletedPart[]
}

/**
 * Makes one object of uploaded parts. When its answer was lost, S3 no longer knows the upload the
 * second time; that the object is there, made of these very parts, is then the answer.
 */
export async function completeUpload(
  { sdk, client, base }: S3Bucket,
  { key, uploadId, parts }: Completion,
  abortSignal?: AbortSignal,
): Promise<void> {
  const object = { ...base, Key: key }
  const options = abortSignal ? { abortSignal } : {}
  try {
    const MultipartUpload = { Parts: parts }
    await client.send(
      new sdk.CompleteMultipartUploadCommand({ ...object, UploadId: uploadId, MultipartUpload }),
      options,
    )
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'NoSuchUpload') throw error
    const found = await client
      .send(new sdk.HeadObjectCommand(object), options)
      .catch(() => undefined)
    if (found?.ETag === undefined || found.ETag.replaceAll('"', '') !== etagOf(parts)) throw error
  }
}

/** The ETag of an object in parts, as every S3 server makes it where parts have MD5s for ETags. */
function etagOf(parts: readonly CompletedPart[]): string {
  const hash = createHash('md5')
  for (const { ETag = '' } of parts) hash.update(ETag.replaceAll('"', ''), 'hex')
  return `${hash.digest('hex')}-${parts.length}`
}
