import type { GetObjectCommandOutput } from '@aws-sdk/client-s3'
import type { ArtifactPath } from './artifact-path.ts'
import { type BodyCheck, bodyCheck, compositeDigest, findCheck } from './body-check.ts'
import { findPartSizes } from './part-sizes.ts'
import { fileKey, type S3Root } from './s3-object.ts'
import { PARTS_METADATA } from './s3-upload.ts'

/**
 * How to tell whether the whole of an object is what was stored; undefined for an object of which
 * neither we nor S3 have a SHA-256, such as those that clients wrote themselves.
 */
export function findObjectCheck(
  root: S3Root,
  path: ArtifactPath,
  { Metadata: metadata = {}, ETag }: GetObjectCommandOutput,
): BodyCheck | undefined {
  const check = findCheck(path, metadata['sha256'])
  if (check) return check
  const sizes = findPartSizes(metadata[PARTS_METADATA])
  if (!sizes) return undefined
  return bodyCheck(path, compositeDigest(sizes), storedComposite(root, path, ETag))
}

/** Asked for apart from the bytes: with them the SDK would check what it can, and that is not this. */
async function storedComposite(
  { bucket, base }: S3Root,
  path: ArtifactPath,
  IfMatch: string | undefined,
): Promise<string | undefined> {
  const command = new bucket.sdk.HeadObjectCommand({
    ...bucket.base,
    Key: fileKey({ bucket, base }, path),
    ChecksumMode: 'ENABLED',
    ...(IfMatch !== undefined && { IfMatch }),
  })
  // A version that was replaced meanwhile has nobody to ask about it.
  const answer = await bucket.client.send(command).catch(() => undefined)
  return answer?.ChecksumSHA256?.includes('-') ? answer.ChecksumSHA256 : undefined
}
