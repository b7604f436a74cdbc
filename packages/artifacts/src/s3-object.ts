import type { GetObjectCommandOutput, HeadObjectCommandOutput } from '@aws-sdk/client-s3'
import { invalid, invariant } from '@millrace/api/errors'
import { type ArtifactPath, formatArtifactPath, joinArtifactPaths } from './artifact-path.ts'
import { noFileName } from './artifact-refusal.ts'
import type { FileVersion } from './artifact-store.ts'
import { directoryPrefix, quotedEtag } from './object-entries.ts'
import type { S3Bucket } from './s3-bucket.ts'
import { statusOf, toS3Failure } from './s3-failure.ts'
import { listKeys } from './s3-listing.ts'

/** AWS takes no longer keys. */
const KEY_BYTES_MAX = 1024
/** Where in S3 a store is. */
export interface S3Root {
  bucket: S3Bucket
  /** Segments of every key of the store. */
  base: ArtifactPath
}

/** The key of a file; the root of a store is none. */
export function fileKey({ base }: S3Root, path: ArtifactPath): string {
  if (path.length === 0) throw noFileName()
  const key = formatArtifactPath(joinArtifactPaths(base, path))
  if (Buffer.byteLength(key) > KEY_BYTES_MAX) {
    throw invalid(
      `'${formatArtifactPath(path)}' is longer than the ${KEY_BYTES_MAX} bytes of a key`,
    )
  }
  return key
}

/** Size and version of a file, from its headers alone. */
export async function headVersion(root: S3Root, path: ArtifactPath): Promise<FileVersion> {
  const { sdk, client, base } = root.bucket
  const command = new sdk.HeadObjectCommand({ ...base, Key: fileKey(root, path) })
  const answer = await client.send(command)
  return versionOf(answer, answer.ContentLength)
}

/** Size and version as the answer to a request for the whole file names them. */
export function versionOf(
  { ETag, LastModified }: HeadObjectCommandOutput | GetObjectCommandOutput,
  totalBytes: number | undefined,
): FileVersion {
  invariant(totalBytes !== undefined, 'S3 names the length of objects')
  return { totalBytes, etag: quotedEtag(ETag), lastModified: LastModified ?? new Date(0) }
}

/**
 * The failure in our words. The answer to a HEAD has no body and so no reason; listing, which is
 * the same permission to read, is asked for it.
 */
export async function explained(
  root: S3Root,
  path: ArtifactPath,
  error: unknown,
): Promise<unknown> {
  const isUnexplained = error instanceof Error && /^(\d+|Unknown|Forbidden|Bad)/.test(error.name)
  if (isUnexplained && statusOf(error) !== undefined) await isDirectory(root, path)
  const attempt = { bucket: root.bucket.name, action: 's3:GetObject' } as const
  return toS3Failure(error, { ...attempt, path: formatArtifactPath(path) })
}

/** Whether anything is below a path. */
export async function isDirectory(root: S3Root, path: ArtifactPath): Promise<boolean> {
  for await (const keys of listKeys(root.bucket, directoryPrefix(root.base, path), 1)) {
    return keys.length > 0
  }
  return false
}
