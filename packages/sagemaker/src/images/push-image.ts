import { readFile } from 'node:fs/promises'
import { ApiError } from '@millrace/api/errors'
import {
  blobFile,
  type Descriptor,
  digestOf,
  type ImageIndex,
  type ImageManifest,
  INDEX_TYPE,
  isIndex,
  MANIFEST_TYPES,
  readBlob,
  readLayout,
} from './oci-layout.ts'
import type { CallRegistry } from './registry-client.ts'
import { type BlobOutcome, pushScope, uploadBlob } from './upload-blob.ts'

export interface ImagePush {
  layout: string
  repository: string
  /** The names that the image gets, each once everything it needs is in the registry. */
  tags: string[]
  /** A repository of the same registry whose layers are used where they are the same. */
  mountFrom?: string | undefined
  chunkSize?: number | undefined
  /** Takes a tag away again; by the registry's own API unless given. */
  deleteTag?: ((call: CallRegistry, repository: string, tag: string) => Promise<void>) | undefined
  /** Told of every blob as soon as the registry has it. */
  onBlob?: (blob: Descriptor, outcome: BlobOutcome) => void
}

/**
 * Pushes the image of an OCI layout with what is attached to it, such as its bill of materials.
 * Tags are set last, and all of them or none: after a push that failed they name what they named.
 *
 * @returns the digest of the image, which the tags name
 */
export async function pushImage(call: CallRegistry, push: ImagePush): Promise<string> {
  const [image, ...attached] = await readLayout(push.layout)
  if (!image) throw new ApiError('INVALID_STATE', `'${push.layout}' holds no image`)
  if (isIndex(image)) {
    const { manifests } = await readBlob<ImageIndex>(push.layout, image.digest)
    for (const manifest of manifests) await pushManifest(call, push, manifest)
  } else {
    await pushBlobs(call, push, image)
  }
  await putManifest(call, push, image, image.digest)
  for (const artifact of attached) await pushAttached(call, push, artifact)
  await setTags(call, push, image)
  return image.digest
}

/** Sets all the tags; when one is refused, those set before it are put back to what they were. */
async function setTags(call: CallRegistry, push: ImagePush, image: Descriptor): Promise<void> {
  const before: { tag: string; manifest: Response | undefined }[] = []
  try {
    for (const tag of push.tags) {
      before.push({ tag, manifest: await findManifest(call, push.repository, tag) })
      await putManifest(call, push, image, tag)
    }
  } catch (error) {
    // The tag that was refused has not changed.
    for (const { tag, manifest } of before.slice(0, -1)) {
      if (manifest) await putBack(call, push.repository, tag, manifest)
      else await (push.deleteTag ?? deleteTag)(call, push.repository, tag)
    }
    throw error
  }
}

async function findManifest(call: CallRegistry, repository: string, tag: string) {
  const found = await call({
    method: 'GET',
    path: `/v2/${repository}/manifests/${tag}`,
    headers: { accept: MANIFEST_TYPES },
    scope: pushScope(repository),
    expected: [200, 404],
  })
  if (found.status === 200) return found
  await found.body?.cancel()
  return undefined
}

async function putBack(call: CallRegistry, repository: string, tag: string, manifest: Response) {
  await call({
    method: 'PUT',
    path: `/v2/${repository}/manifests/${tag}`,
    headers: { 'content-type': manifest.headers.get('content-type') ?? '' },
    body: new Uint8Array(await manifest.arrayBuffer()),
    scope: pushScope(repository),
    expected: [200, 201, 202],
  })
}

/** Takes a tag away; a registry of before OCI 1.1 may not know how, and keeps it. */
async function deleteTag(call: CallRegistry, repository: string, tag: string): Promise<void> {
  await call({
    method: 'DELETE',
    path: `/v2/${repository}/manifests/${tag}`,
    scope: `repository:${repository}:pull,push,delete`,
    expected: [202, 400, 404, 405],
  })
}

async function pushManifest(call: CallRegistry, push: ImagePush, manifest: Descriptor) {
  await pushBlobs(call, push, manifest)
  return putManifest(call, push, manifest, manifest.digest)
}

async function pushBlobs(call: CallRegistry, push: ImagePush, { digest }: Descriptor) {
  const { config, layers } = await readBlob<ImageManifest>(push.layout, digest)
  await Promise.all(
    [...layers, config].map(async (blob) => {
      const outcome = await uploadBlob(call, {
        repository: push.repository,
        digest: blob.digest,
        size: blob.size,
        file: blobFile(push.layout, blob.digest),
        mountFrom: push.mountFrom,
        chunkSize: push.chunkSize,
      })
      push.onBlob?.(blob, outcome)
    }),
  )
}

async function putManifest(
  call: CallRegistry,
  { layout, repository }: ImagePush,
  { digest, mediaType }: Descriptor,
  reference: string,
): Promise<Response> {
  const bytes = await readFile(blobFile(layout, digest))
  if (digestOf(bytes) !== digest) {
    throw new ApiError(
      'INVALID_STATE',
      `The manifest ${digest} in '${layout}' is damaged: build it again`,
    )
  }
  const stored = await call({
    method: 'PUT',
    path: `/v2/${repository}/manifests/${reference}`,
    headers: { 'content-type': mediaType },
    body: new Uint8Array(bytes),
    scope: pushScope(repository),
    expected: [200, 201, 202],
  })
  const said = stored.headers.get('docker-content-digest')
  if (said && said !== digest) {
    throw new ApiError(
      'INVALID_STATE',
      `The registry stored ${repository}:${reference} as ${said}, and it was ${digest}`,
    )
  }
  return stored
}

/**
 * Pushes an artifact that names the image as its subject. A registry that does not keep a list of
 * what refers to an image gets it as a tag (OCI distribution specification 1.1, "referrers tag schema").
 */
async function pushAttached(call: CallRegistry, push: ImagePush, artifact: Descriptor) {
  const stored = await pushManifest(call, push, artifact)
  const { subject, artifactType } = await readBlob<ImageManifest>(push.layout, artifact.digest)
  if (!subject || stored.headers.has('oci-subject')) return
  const { mediaType, digest, size } = artifact
  const referrers: ImageIndex = {
    schemaVersion: 2,
    mediaType: INDEX_TYPE,
    manifests: [{ mediaType, digest, size, ...(artifactType && { artifactType }) }],
  }
  await call({
    method: 'PUT',
    path: `/v2/${push.repository}/manifests/${subject.digest.replace(':', '-')}`,
    headers: { 'content-type': INDEX_TYPE },
    body: JSON.stringify(referrers),
    scope: pushScope(push.repository),
    expected: [200, 201, 202],
  })
}
