import { randomUUID } from 'node:crypto'
import { ApiError } from '@millrace/api/errors'
import type { S3Location } from './location.ts'
import { bucketOpener, type S3Bucket } from './s3-bucket.ts'
import { isMissing, type S3Action, toS3Failure } from './s3-failure.ts'
import { DEFAULT_S3_OPTIONS, type S3Options } from './s3-options.ts'

/** `checkStore` for S3; `read` tries listing and reading alone. */
export async function checkS3Store(
  location: S3Location,
  access: 'read' | 'write',
  options: S3Options = DEFAULT_S3_OPTIONS,
): Promise<void> {
  const bucket = await bucketOpener(location.bucket, options)().catch((error: unknown) => {
    throw withReason(location, error)
  })
  try {
    const denied = await deniedActions(bucket, location, access)
    if (denied.length > 0) {
      throw new ApiError(
        'PERMISSION_DENIED',
        `S3 denies this server ${denied.join(', ')} on '${location.uri}': allow ` +
          `${denied.length === 1 ? 'it' : 'them'} to its role or user.`,
      )
    }
  } finally {
    bucket.client.destroy()
  }
}

async function deniedActions(
  bucket: S3Bucket,
  location: S3Location,
  access: 'read' | 'write',
): Promise<S3Action[]> {
  const denied: S3Action[] = []
  for (const [action, attempt] of trials(bucket, location)) {
    if (access === 'read' && !READING.includes(action)) continue
    // Where neither listing nor writing is allowed, S3 says the same of every object.
    if (action === 's3:GetObject' && denied.includes('s3:ListBucket')) continue
    try {
      await attempt()
    } catch (error) {
      const failure = toS3Failure(error, { bucket: bucket.name, action })
      if (!(failure instanceof ApiError)) throw failure
      if (failure.code === 'NOT_IMPLEMENTED') continue
      if (failure.code !== 'PERMISSION_DENIED') throw withReason(location, failure)
      denied.push(action)
    }
  }
  return denied
}

const READING: S3Action[] = ['s3:ListBucket', 's3:GetObject']

/** What takes each permission, in an order that shows every one that is missing. */
function trials(
  { sdk, client, base, options }: S3Bucket,
  { segments }: S3Location,
): [S3Action, () => Promise<unknown>][] {
  const Prefix = segments.map((segment) => `${segment}/`).join('')
  const object = { ...base, Key: `${Prefix}.millrace-check-${randomUUID()}` }
  const make = { ...object, ...options.uploadArgs }
  return [
    [
      's3:ListBucket',
      () => client.send(new sdk.ListObjectsV2Command({ ...base, Prefix, MaxKeys: 1 })),
    ],
    ['s3:PutObject', () => client.send(new sdk.PutObjectCommand({ ...make, Body: 'check' }))],
    [
      's3:GetObject',
      async () => {
        try {
          const answer = await client.send(new sdk.GetObjectCommand(object))
          await answer.Body?.transformToByteArray()
        } catch (error) {
          if (!isMissing(error)) throw error
        }
      },
    ],
    [
      's3:AbortMultipartUpload',
      async () => {
        const { UploadId } = await client.send(new sdk.CreateMultipartUploadCommand(make))
        await client.send(new sdk.AbortMultipartUploadCommand({ ...object, UploadId }))
      },
    ],
    ['s3:DeleteObject', () => client.send(new sdk.DeleteObjectCommand(object))],
  ]
}

/** For whoever starts the server, who may read what S3 says of accounts and roles. */
function withReason({ uri }: S3Location, error: unknown): unknown {
  if (!(error instanceof ApiError)) return error
  const { cause } = error
  const reason = cause instanceof Error ? ` (${cause.name}: ${cause.message})` : ''
  return new ApiError(error.code, `'${uri}' cannot be used: ${error.message}${reason}`, { cause })
}
