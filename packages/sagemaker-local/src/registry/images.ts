import {
  deleteManifest,
  deleteTag,
  findTag,
  getManifest,
  parseManifest,
} from './image-manifests.ts'
import { blobFile, type ImageStore } from './image-store.ts'
import { RegistryError } from './registry-error.ts'
import { getRepository } from './repositories.ts'

/** An image as ECR's DescribeImages knows it. */
export interface Image {
  digest: string
  tags: string[]
  /** Of its config and layers, compressed as they were pushed; 0 for an index. */
  sizeBytes: number
  pushedMs: number
  mediaType: string
  /** The media type of its config. */
  artifactMediaType: string | undefined
}

/** How a client names an image: by digest, by tag, or by a tag that must have the digest. */
export interface ImageId {
  digest?: string
  tag?: string
}

/** All images of a repository, the newest first. */
export function listImages(store: ImageStore, repository: string): Image[] {
  getRepository(store, repository)
  const tags = Map.groupBy(
    store.sql('SELECT tag, digest FROM tags WHERE repository = ? ORDER BY tag').all(repository),
    ({ digest }) => String(digest),
  )
  return store
    .sql('SELECT * FROM manifests WHERE repository = ? ORDER BY pushed_ms DESC, digest')
    .all(repository)
    .map((row) => ({
      digest: String(row['digest']),
      tags: (tags.get(String(row['digest'])) ?? []).map(({ tag }) => String(tag)),
      sizeBytes: Number(row['image_bytes']),
      pushedMs: Number(row['pushed_ms']),
      mediaType: String(row['media_type']),
      artifactMediaType: parseManifest(Buffer.from(row['body'] as Uint8Array)).config?.mediaType,
    }))
}

/** The image of an id; undefined when there is none, or its tag has another digest. */
export function findImage(store: ImageStore, repository: string, id: ImageId): Image | undefined {
  const digest = digestOf(store, repository, id)
  return listImages(store, repository).find((image) => image.digest === digest)
}

export interface DeletedImages {
  deleted: ImageId[]
  failures: {
    id: ImageId
    code: 'ImageNotFound' | 'ImageReferencedByManifestList'
    reason: string
  }[]
}

/**
 * Deletes images as ECR's BatchDeleteImage does: by digest with all tags, by tag only the tag, and
 * the image too when that was its last one. What is part of an index stays.
 */
export function deleteImages(store: ImageStore, repository: string, ids: ImageId[]): DeletedImages {
  getRepository(store, repository)
  const outcome: DeletedImages = { deleted: [], failures: [] }
  for (const id of ids) {
    const image = findImage(store, repository, id)
    if (!image) {
      const reason = 'Requested image not found'
      outcome.failures.push({ id, code: 'ImageNotFound', reason })
      continue
    }
    const { digest, tags } = image
    if (id.tag !== undefined && tags.length > 1) {
      deleteTag(store, repository, id.tag)
      outcome.deleted.push({ digest, tag: id.tag })
      continue
    }
    const index = indexOf(store, repository, digest)
    if (index !== undefined) {
      const reason = `Requested image referenced by manifest list: [${index}]`
      outcome.failures.push({ id, code: 'ImageReferencedByManifestList', reason })
      continue
    }
    deleteManifest(store, repository, digest)
    outcome.deleted.push(...(tags.length > 0 ? tags.map((tag) => ({ digest, tag })) : [{ digest }]))
  }
  return outcome
}

/** What is needed to run an image: its config and its layers, the lowest first. */
export interface UnpackableImage {
  digest: string
  /** The config's JSON, unparsed. */
  configFile: string
  layers: { digest: string; mediaType: string; file: string; sizeBytes: number }[]
}

/**
 * Finds the files of an image by tag or digest; of an index, the image for this machine.
 * `MANIFEST_UNKNOWN` names what is missing.
 */
export function locateImage(
  store: ImageStore,
  repository: string,
  reference: string,
  { os = 'linux', architecture = process.arch === 'x64' ? 'amd64' : process.arch } = {},
): UnpackableImage {
  const manifest = getManifest(store, repository, reference)
  const { config, layers = [], manifests } = parseManifest(manifest.body)
  if (manifests) {
    const child = manifests.find(
      ({ platform }) => platform?.os === os && platform.architecture === architecture,
    )
    if (child) return locateImage(store, repository, child.digest, { os, architecture })
    throw new RegistryError(
      'MANIFEST_UNKNOWN',
      `The image '${repository}:${reference}' has no variant for ${os}/${architecture}.`,
    )
  }
  return {
    digest: manifest.digest,
    configFile: blobFile(store, config?.digest ?? ''),
    layers: layers.map(({ digest, mediaType = '', size }) => ({
      digest,
      mediaType,
      file: blobFile(store, digest),
      sizeBytes: size,
    })),
  }
}

function digestOf(store: ImageStore, repository: string, { digest, tag }: ImageId) {
  if (tag === undefined) return digest
  const tagged = findTag(store, repository, tag)
  return digest === undefined || digest === tagged ? tagged : undefined
}

function indexOf(store: ImageStore, repository: string, digest: string): string | undefined {
  const row = store
    .sql('SELECT manifest FROM manifest_references WHERE repository = ? AND digest = ? LIMIT 1')
    .get(repository, digest)
  return row && String(row['manifest'])
}
