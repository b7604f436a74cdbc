import { ApiError, invalid, notFound } from '@millrace/api/errors'
import { type ArtifactPath, formatArtifactPath } from './artifact-path.ts'
import type { DirectAccess, UploadedPart } from './artifact-store.ts'
import { contentDisposition } from './content-type.ts'
import { completeUpload } from './s3-completion.ts'
import { type S3Action, toS3Failure } from './s3-failure.ts'
import { explained, fileKey, headVersion, type S3Root } from './s3-object.ts'
import { type S3UploadArgs, UPLOAD_ARG_HEADERS } from './s3-options.ts'
import { objectArgs } from './s3-upload.ts'

/** S3 takes no more parts. */
const PARTS_MAX = 10_000
/** Long enough for a slow line to send all parts, whichever is the last. */
const PART_EXPIRES_SECONDS = 3600

/** Signed requests for single objects of a store; a signature opens one key by one method. */
export function s3DirectAccess(openRoot: () => Promise<S3Root>): DirectAccess {
  return {
    async presignDownload(path, expiresSeconds) {
      const root = await openRoot()
      const { totalBytes } = await headVersion(root, path).catch(async (error: unknown) => {
        throw await explained(root, path, error)
      })
      const { sdk, base } = root.bucket
      const command = new sdk.GetObjectCommand({
        ...base,
        Key: fileKey(root, path),
        // A browser that follows the link saves the file rather than shows it.
        ResponseContentDisposition: contentDisposition(path.at(-1) ?? ''),
      })
      const url = await sign(root, command, path, { expiresSeconds })
      return { url, headers: {}, sizeBytes: totalBytes }
    },

    async presignUpload(path, expiresSeconds) {
      const root = await openRoot()
      const { sdk, base } = root.bucket
      const args = objectArgs({ bucket: root.bucket, key: fileKey(root, path), path })
      const headers = headersOf({
        ...root.bucket.options.uploadArgs,
        ContentType: args.ContentType ?? '',
      })
      const command = new sdk.PutObjectCommand({ ...base, ...args })
      return { url: await sign(root, command, path, { expiresSeconds, headers }), headers }
    },

    async createParts(path, count) {
      if (!Number.isInteger(count) || count < 1 || count > PARTS_MAX) {
        throw invalid(`num_parts must be between 1 and ${PARTS_MAX} (got ${count}).`)
      }
      const root = await openRoot()
      const { sdk, client, base } = root.bucket
      const Key = fileKey(root, path)
      const args = objectArgs({ bucket: root.bucket, key: Key, path })
      const command = new sdk.CreateMultipartUploadCommand({ ...base, ...args })
      const { UploadId = '' } = await answered(root, path, client.send(command))
      const urls: string[] = []
      for (let PartNumber = 1; PartNumber <= count; PartNumber++) {
        const part = new sdk.UploadPartCommand({ ...base, Key, UploadId, PartNumber })
        urls.push(await sign(root, part, path, { expiresSeconds: PART_EXPIRES_SECONDS }))
      }
      return { uploadId: UploadId, urls }
    },

    async completeParts(path, uploadId, parts) {
      const root = await openRoot()
      const completion = { key: fileKey(root, path), uploadId, parts: inOrder(parts) }
      await answered(root, path, completeUpload(root.bucket, completion))
    },

    async abortParts(path, UploadId) {
      const root = await openRoot()
      const { sdk, client, base } = root.bucket
      const command = new sdk.AbortMultipartUploadCommand({
        ...base,
        Key: fileKey(root, path),
        UploadId,
      })
      await answered(root, path, client.send(command), 's3:AbortMultipartUpload')
    },
  }
}

type Sdk = S3Root['bucket']['sdk']
type Presigned = InstanceType<
  Sdk['GetObjectCommand'] | Sdk['PutObjectCommand'] | Sdk['UploadPartCommand']
>

async function sign(
  { bucket }: S3Root,
  command: Presigned,
  path: ArtifactPath,
  { expiresSeconds, headers = {} }: { expiresSeconds: number; headers?: Record<string, string> },
): Promise<string> {
  const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner')
  const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
  try {
    return await getSignedUrl(bucket.client, command as Parameters<typeof getSignedUrl>[1], {
      expiresIn: expiresSeconds,
      // Signed as headers, so that what the client must send is what it is told to send.
      unhoistableHeaders: names,
      signableHeaders: new Set(['host', ...names]),
    })
  } catch (error) {
    const attempt = { bucket: bucket.name, action: 's3:GetObject' } as const
    throw toS3Failure(error, { ...attempt, path: formatArtifactPath(path) })
  }
}

function headersOf(args: S3UploadArgs): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(args)) {
    const header = UPLOAD_ARG_HEADERS[name] ?? ''
    if (typeof value !== 'object') headers[header] = String(value)
    else for (const [key, text] of Object.entries(value)) headers[`${header}${key}`] = text
  }
  return headers
}

function inOrder(parts: readonly UploadedPart[]) {
  return [...parts]
    .sort((a, b) => a.number - b.number)
    .map(({ number, etag }) => ({ PartNumber: number, ETag: etag }))
}

async function answered<Output>(
  { bucket }: S3Root,
  path: ArtifactPath,
  answer: Promise<Output>,
  action: S3Action = 's3:PutObject',
): Promise<Output> {
  try {
    return await answer
  } catch (error) {
    const name = error instanceof Error ? error.name : ''
    if (name === 'NoSuchUpload') {
      throw notFound(`There is no upload in parts of '${formatArtifactPath(path)}' under this id.`)
    }
    if (/^InvalidPart|^EntityTooSmall|^MalformedXML/.test(name)) {
      throw new ApiError('INVALID_PARAMETER_VALUE', `S3 does not accept the parts: ${name}`, {
        cause: error,
      })
    }
    throw toS3Failure(error, { bucket: bucket.name, action, path: formatArtifactPath(path) })
  }
}
