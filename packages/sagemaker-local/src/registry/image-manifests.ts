import { createHash } from 'node:crypto'
import { checkDigest, type ImageStore, removeBlobLink } from './image-store.ts'
import { RegistryError } from './registry-error.ts'
import { getRepository } from './repositories.ts'

/** A manifest as it was pushed. */
export interface StoredManifest {
  digest: string
  mediaType: string
  body: Buffer
  pushedMs: number
}

/** What a manifest names. */
interface Descriptor {
  mediaType?: string
  digest: string
  size: number
  urls?: string[]
  platform?: { architecture?: string; os?: string }
}

/** The parts of a manifest or an index, of OCI or of Docker, that matter here. */
export interface ManifestContent {
  mediaType?: string
  artifactType?: string
  config?: Descriptor
  layers?: Descriptor[]
  manifests?: Descriptor[]
  subject?: Descriptor
  annotations?: Record<string, string>
}

const INDEX_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]
const IMAGE_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]
const TAG = /^\w[\w.-]{0,127}$/
export const MANIFEST_MAX_BYTES = 4 * 1024 ** 2

/**
 * Keeps a manifest under its digest and, when `reference` is a tag, under that. Everything that it
 * names must have been pushed; a tag of an immutable repository cannot be moved.
 */
export function putManifest(
  store: ImageStore,
  manifest: { repository: string; reference: string; mediaType: string | undefined; body: Buffer },
): { digest: string; subject: string | undefined } {
  const { repository, reference, body } = manifest
  const content = parseManifest(body)
  const mediaType = mediaTypeOf(content, manifest.mediaType)
  const isDigest = reference.includes(':')
  if (isDigest) checkDigest(reference)
  else if (!TAG.test(reference)) throw new RegistryError('TAG_INVALID', `'${reference}' is no tag.`)
  const algorithm = reference.startsWith('sha512:') ? 'sha512' : 'sha256'
  const digest = `${algorithm}:${createHash(algorithm).update(body).digest('hex')}`
  if (isDigest && digest !== reference) {
    throw new RegistryError(
      'DIGEST_INVALID',
      `The manifest has the digest ${digest}, not ${reference}.`,
    )
  }
  store.write(() => {
    const { isImmutable } = getRepository(store, repository)
    const parts = [content.config, ...(content.layers ?? [])].filter((part) => part !== undefined)
    for (const part of parts.filter(isPushed)) checkPart(store, repository, part)
    for (const child of content.manifests ?? []) getManifest(store, repository, child.digest)
    const imageBytes = parts.reduce((sum, { size }) => sum + size, 0)
    store
      .sql(
        `INSERT INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (repository, digest) DO UPDATE SET media_type = excluded.media_type`,
      )
      .run(
        repository,
        digest,
        mediaType,
        body,
        imageBytes,
        content.subject?.digest ?? null,
        Date.now(),
      )
    for (const named of [...parts, ...(content.manifests ?? [])]) {
      store
        .sql('INSERT OR IGNORE INTO manifest_references VALUES (?, ?, ?)')
        .run(repository, digest, named.digest)
    }
    if (!isDigest) setTag(store, { repository, tag: reference, digest, isImmutable })
  })
  return { digest, subject: content.subject?.digest }
}

function setTag(
  store: ImageStore,
  {
    repository,
    tag,
    digest,
    isImmutable,
  }: { repository: string; tag: string; digest: string; isImmutable: boolean },
): void {
  const existing = store
    .sql('SELECT digest FROM tags WHERE repository = ? AND tag = ?')
    .get(repository, tag)
  if (isImmutable && existing && existing['digest'] !== digest) {
    throw new RegistryError(
      'TAG_INVALID',
      `The image tag '${tag}' already exists in the '${repository}' repository and cannot be overwritten because the repository is immutable.`,
    )
  }
  store
    .sql(
      `INSERT INTO tags VALUES (?, ?, ?)
       ON CONFLICT (repository, tag) DO UPDATE SET digest = excluded.digest`,
    )
    .run(repository, tag, digest)
}

/** The manifest of a tag or a digest; `MANIFEST_UNKNOWN` when there is none. */
export function getManifest(
  store: ImageStore,
  repository: string,
  reference: string,
): StoredManifest {
  getRepository(store, repository)
  const digest = reference.includes(':') ? reference : findTag(store, repository, reference)
  const row = store
    .sql('SELECT * FROM manifests WHERE repository = ? AND digest = ?')
    .get(repository, digest ?? '')
  if (!row) {
    throw new RegistryError(
      'MANIFEST_UNKNOWN',
      `The repository '${repository}' has no image '${reference}'.`,
    )
  }
  return {
    digest: String(row['digest']),
    mediaType: String(row['media_type']),
    body: Buffer.from(row['body'] as Uint8Array),
    pushedMs: Number(row['pushed_ms']),
  }
}

/** The digest that a tag stands for. */
export function findTag(store: ImageStore, repository: string, tag: string): string | undefined {
  const row = store
    .sql('SELECT digest FROM tags WHERE repository = ? AND tag = ?')
    .get(repository, tag)
  return row && String(row['digest'])
}

/** The tags of a repository in their order. */
export function listTags(
  store: ImageStore,
  repository: string,
  { after = '', limit = Number.MAX_SAFE_INTEGER }: { after?: string; limit?: number } = {},
): string[] {
  getRepository(store, repository)
  return store
    .sql('SELECT tag FROM tags WHERE repository = ? AND tag > ? ORDER BY tag LIMIT ?')
    .all(repository, after, limit)
    .map(({ tag }) => String(tag))
}

/** Takes a tag away; the image stays. */
export function deleteTag(store: ImageStore, repository: string, tag: string): void {
  store.write(() => {
    getManifest(store, repository, tag)
    store.sql('DELETE FROM tags WHERE repository = ? AND tag = ?').run(repository, tag)
  })
}

/**
 * Deletes an image with its tags, and every blob of it that no other image of the repository names.
 */
export function deleteManifest(store: ImageStore, repository: string, digest: string): void {
  store.write(() => {
    getManifest(store, repository, digest)
    const named = store
      .sql(`DELETE FROM manifest_references WHERE repository = ? AND manifest = ? RETURNING digest`)
      .all(repository, digest)
    store.sql('DELETE FROM tags WHERE repository = ? AND digest = ?').run(repository, digest)
    store.sql('DELETE FROM manifests WHERE repository = ? AND digest = ?').run(repository, digest)
    for (const row of named) {
      const part = String(row['digest'])
      const isNamed = store
        .sql('SELECT 1 FROM manifest_references WHERE repository = ? AND digest = ? LIMIT 1')
        .get(repository, part)
      if (!isNamed) removeBlobLink(store, repository, part)
    }
  })
}

/** The manifests that say that they are about another one (OCI 1.1 referrers). */
export function listReferrers(
  store: ImageStore,
  repository: string,
  subject: string,
): { manifest: StoredManifest; content: ManifestContent }[] {
  return store
    .sql('SELECT digest FROM manifests WHERE repository = ? AND subject = ? ORDER BY digest')
    .all(repository, subject)
    .map(({ digest }) => {
      const manifest = getManifest(store, repository, String(digest))
      return { manifest, content: parseManifest(manifest.body) }
    })
}

/** Reads a manifest; `MANIFEST_INVALID` when it is none. */
export function parseManifest(body: Buffer): ManifestContent {
  let content: unknown
  try {
    content = JSON.parse(body.toString('utf8'))
  } catch {
    throw new RegistryError('MANIFEST_INVALID', 'The manifest is not JSON.')
  }
  if (!isManifest(content)) {
    throw new RegistryError(
      'MANIFEST_INVALID',
      'The manifest is neither an image with a config and layers nor an index with manifests; schema 1 is not served.',
    )
  }
  return content
}

function isManifest(content: unknown): content is ManifestContent {
  if (typeof content !== 'object' || content === null) return false
  const { config, layers, manifests, subject } = content as Record<string, unknown>
  const isImage = isDescriptor(config) && Array.isArray(layers) && layers.every(isDescriptor)
  const isIndex = Array.isArray(manifests) && manifests.every(isDescriptor)
  return (isImage || isIndex) && (subject === undefined || isDescriptor(subject))
}

function isDescriptor(value: unknown): value is Descriptor {
  if (typeof value !== 'object' || value === null) return false
  const { digest, size } = value as Record<string, unknown>
  return typeof digest === 'string' && Number.isSafeInteger(size) && Number(size) >= 0
}

function mediaTypeOf(content: ManifestContent, header: string | undefined): string {
  const sent = header?.split(';')[0]?.trim()
  const mediaType = content.mediaType ?? sent
  const allowed = content.manifests ? INDEX_TYPES : IMAGE_TYPES
  if (mediaType !== undefined && allowed.includes(mediaType)) return mediaType
  throw new RegistryError('MANIFEST_INVALID', `'${mediaType}' is no media type of such a manifest.`)
}

function checkPart(store: ImageStore, repository: string, part: Descriptor): void {
  checkDigest(part.digest)
  const row = store
    .sql('SELECT size_bytes FROM blobs WHERE repository = ? AND digest = ?')
    .get(repository, part.digest)
  if (row && Number(row['size_bytes']) === part.size) return
  throw new RegistryError(
    'MANIFEST_BLOB_UNKNOWN',
    row
      ? `The blob ${part.digest} has ${Number(row['size_bytes'])} bytes, not ${part.size}.`
      : `The manifest names the blob ${part.digest}, which has not been pushed.`,
  )
}

/** Layers that may not be passed on stay where their addresses say. */
function isPushed({ urls = [], mediaType = '' }: Descriptor): boolean {
  return !(urls.length > 0 && /foreign|nondistributable/.test(mediaType))
}
