import { createReadStream } from 'node:fs'
import { rangeOf } from '../s3/object-headers.ts'
import { S3Error } from '../s3/s3-error.ts'
import {
  deleteManifest,
  deleteTag,
  getManifest,
  listReferrers,
  listTags,
  MANIFEST_MAX_BYTES,
  putManifest,
} from './image-manifests.ts'
import {
  abortUpload,
  appendToUpload,
  blobFile,
  checkDigest,
  createBlobUpload,
  deleteBlob,
  finishUpload,
  getBlob,
  type ImageStore,
  mountBlob,
  uploadedBytes,
} from './image-store.ts'
import { RegistryError } from './registry-error.ts'
import type { RegistryAnswer, RegistryRequest } from './registry-request.ts'
import {
  createRepository,
  findRepository,
  getRepository,
  listRepositories,
} from './repositories.ts'

type Run = (store: ImageStore, request: RegistryRequest) => RegistryAnswer | Promise<RegistryAnswer>

/** An operation on something in a repository: its name, and a digest, a tag or an id. */
type RunInRepository = (
  store: ImageStore,
  request: RegistryRequest,
  repository: string,
  reference: string,
) => RegistryAnswer | Promise<RegistryAnswer>

const PAGE_MAX = 1000

// The name of a repository has slashes, so what follows it is found from the end of the path.
const OPERATIONS: [path: RegExp, methods: Record<string, RunInRepository>][] = [
  [/^\/(.+)\/tags\/list()$/, { GET: tagList, HEAD: tagList }],
  [/^\/(.+)\/referrers\/([^/]+)$/, { GET: referrers }],
  [
    /^\/(.+)\/manifests\/([^/]+)$/,
    { GET: manifest, HEAD: manifest, PUT: pushManifest, DELETE: removeManifest },
  ],
  [/^\/(.+)\/blobs\/uploads\/?()$/, { POST: startUpload }],
  [
    /^\/(.+)\/blobs\/uploads\/([^/]+)$/,
    { GET: uploadStatus, PATCH: uploadChunk, PUT: endUpload, DELETE: cancelUpload },
  ],
  [/^\/(.+)\/blobs\/([^/]+)$/, { GET: blob, HEAD: blob, DELETE: removeBlob }],
]

/** The operation that a request asks for. */
export function findRegistryOperation({ method, path }: RegistryRequest): Run {
  if (path === '' || path === '/') return () => ({ headers: JSON_TYPE, body: '{}' })
  if (path === '/_catalog' && method === 'GET') return catalog
  for (const [pattern, methods] of OPERATIONS) {
    const [, repository, reference = ''] = pattern.exec(path) ?? []
    if (repository === undefined) continue
    const run = methods[method]
    if (!run) throw new RegistryError('UNSUPPORTED', `${method} is not served for '${path}'.`)
    return (store, request) => run(store, request, repository, reference)
  }
  throw new RegistryError('NAME_INVALID', `'${path.slice(0, 300)}' is no path of a registry.`)
}

const JSON_TYPE = { 'content-type': 'application/json' }

function catalog(store: ImageStore, request: RegistryRequest): RegistryAnswer {
  const page = pageOf(request)
  const names = listRepositories(store, { ...page, limit: page.limit + 1 }).map(({ name }) => name)
  return pageAnswer(names, page.limit, {
    path: '/v2/_catalog',
    content: (repositories) => ({ repositories }),
  })
}

function tagList(store: ImageStore, request: RegistryRequest, repository: string): RegistryAnswer {
  const page = pageOf(request)
  const tags = listTags(store, repository, { ...page, limit: page.limit + 1 })
  return pageAnswer(tags, page.limit, {
    path: `/v2/${repository}/tags/list`,
    content: (found) => ({ name: repository, tags: found }),
  })
}

function pageOf({ query }: RegistryRequest): { after: string; limit: number } {
  const count = query.get('n') ?? String(PAGE_MAX)
  if (!/^\d{1,9}$/.test(count)) {
    throw new RegistryError('UNSUPPORTED', `n is '${count}', not a number.`)
  }
  return { after: query.get('last') ?? '', limit: Math.min(Number(count), PAGE_MAX) }
}

function pageAnswer(
  found: string[],
  limit: number,
  { path, content }: { path: string; content: (page: string[]) => object },
): RegistryAnswer {
  const page = found.slice(0, limit)
  const last = page.at(-1)
  const hasMore = found.length > limit && last !== undefined
  const link = `<${path}?last=${encodeURIComponent(last ?? '')}&n=${limit}>; rel="next"`
  return {
    headers: { ...JSON_TYPE, ...(hasMore && { link }) },
    body: JSON.stringify(content(page)),
  }
}

function manifest(
  store: ImageStore,
  _request: RegistryRequest,
  repository: string,
  reference: string,
): RegistryAnswer {
  const { digest, mediaType, body } = getManifest(store, repository, reference)
  const headers = { 'content-type': mediaType, 'docker-content-digest': digest }
  return { headers: { ...headers, etag: `"${digest}"` }, body }
}

async function pushManifest(
  store: ImageStore,
  request: RegistryRequest,
  repository: string,
  reference: string,
): Promise<RegistryAnswer> {
  ensureRepository(store, request, repository)
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of request.body) {
    size += piece.length
    if (size > MANIFEST_MAX_BYTES) {
      throw new RegistryError('SIZE_INVALID', `A manifest has at most ${MANIFEST_MAX_BYTES} bytes.`)
    }
    pieces.push(piece)
  }
  const { digest, subject } = putManifest(store, {
    repository,
    reference,
    mediaType: request.headers['content-type'],
    body: Buffer.concat(pieces),
  })
  return {
    status: 201,
    headers: {
      location: `/v2/${repository}/manifests/${digest}`,
      'docker-content-digest': digest,
      ...(subject !== undefined && { 'oci-subject': subject }),
    },
  }
}

function removeManifest(
  store: ImageStore,
  _request: RegistryRequest,
  repository: string,
  reference: string,
): RegistryAnswer {
  if (reference.includes(':')) deleteManifest(store, repository, reference)
  else deleteTag(store, repository, reference)
  return { status: 202 }
}

function referrers(
  store: ImageStore,
  { query }: RegistryRequest,
  repository: string,
  subject: string,
): RegistryAnswer {
  checkDigest(subject)
  getRepository(store, repository)
  const wanted = query.get('artifactType')
  const manifests = listReferrers(store, repository, subject)
    .map(({ manifest: { digest, mediaType, body }, content }) => ({
      mediaType,
      digest,
      size: body.length,
      artifactType: content.artifactType ?? content.config?.mediaType,
      annotations: content.annotations,
    }))
    .filter(({ artifactType }) => wanted === null || artifactType === wanted)
  const mediaType = 'application/vnd.oci.image.index.v1+json'
  return {
    headers: {
      'content-type': mediaType,
      ...(wanted !== null && { 'oci-filters-applied': 'artifactType' }),
    },
    body: JSON.stringify({ schemaVersion: 2, mediaType, manifests }),
  }
}

function blob(
  store: ImageStore,
  { headers }: RegistryRequest,
  repository: string,
  digest: string,
): RegistryAnswer {
  const size = getBlob(store, repository, digest)
  const range = blobRange(headers.range, size)
  const file = blobFile(store, digest)
  const common = {
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    'accept-ranges': 'bytes',
    etag: `"${digest}"`,
  }
  if (!range) {
    const body = size === 0 ? '' : createReadStream(file, { highWaterMark: 256 * 1024 })
    return { headers: { ...common, 'content-length': size }, body }
  }
  const { start, end } = range
  return {
    status: 206,
    headers: {
      ...common,
      'content-length': end - start + 1,
      'content-range': `bytes ${start}-${end}/${size}`,
    },
    body: createReadStream(file, { start, end }),
  }
}

function blobRange(header: string | undefined, size: number) {
  try {
    return rangeOf(header, size)
  } catch (error) {
    if (!(error instanceof S3Error)) throw error
    throw new RegistryError('RANGE_INVALID', `'${header}' is outside of ${size} bytes.`, {
      'content-range': `bytes */${size}`,
    })
  }
}

function removeBlob(
  store: ImageStore,
  _request: RegistryRequest,
  repository: string,
  digest: string,
): RegistryAnswer {
  getRepository(store, repository)
  deleteBlob(store, repository, digest)
  return { status: 202 }
}

async function startUpload(
  store: ImageStore,
  request: RegistryRequest,
  repository: string,
): Promise<RegistryAnswer> {
  ensureRepository(store, request, repository)
  const { query } = request
  const mount = query.get('mount')
  const from = query.get('from')
  if (mount !== null && from !== null) {
    if (mountBlob(store, { from, to: repository, digest: mount })) return created(repository, mount)
  }
  const id = createBlobUpload(store, repository)
  const digest = query.get('digest')
  if (digest === null) return accepted(repository, id, 0)
  await appendToUpload(store, { repository, id }, request.body)
  await finishUpload(store, { repository, id }, digest)
  return created(repository, digest)
}

async function uploadStatus(
  store: ImageStore,
  _request: RegistryRequest,
  repository: string,
  id: string,
): Promise<RegistryAnswer> {
  const size = await uploadedBytes(store, repository, id)
  return { ...accepted(repository, id, size), status: 204 }
}

async function uploadChunk(
  store: ImageStore,
  request: RegistryRequest,
  repository: string,
  id: string,
): Promise<RegistryAnswer> {
  await checkContinues(store, request, { repository, id })
  const size = await appendToUpload(store, { repository, id }, request.body)
  return accepted(repository, id, size)
}

async function endUpload(
  store: ImageStore,
  request: RegistryRequest,
  repository: string,
  id: string,
): Promise<RegistryAnswer> {
  const digest = request.query.get('digest')
  if (digest === null) throw new RegistryError('DIGEST_INVALID', 'The digest is missing.')
  checkDigest(digest)
  await checkContinues(store, request, { repository, id })
  await appendToUpload(store, { repository, id }, request.body)
  await finishUpload(store, { repository, id }, digest)
  return created(repository, digest)
}

async function cancelUpload(
  store: ImageStore,
  _request: RegistryRequest,
  repository: string,
  id: string,
): Promise<RegistryAnswer> {
  await abortUpload(store, repository, id)
  return { status: 204 }
}

/** A chunk that says where it belongs must belong behind those that are here. */
async function checkContinues(
  store: ImageStore,
  { headers }: RegistryRequest,
  { repository, id }: { repository: string; id: string },
): Promise<void> {
  const range = headers['content-range']
  if (range === undefined) return
  const size = await uploadedBytes(store, repository, id)
  const [, start] = /^(?:bytes )?(\d+)-\d+(?:\/.*)?$/.exec(range) ?? []
  if (Number(start) === size) return
  throw new RegistryError(
    'RANGE_INVALID',
    `The upload has ${size} bytes; '${range}' does not go on.`,
    {
      range: `0-${Math.max(size - 1, 0)}`,
      location: `/v2/${repository}/blobs/uploads/${id}`,
    },
  )
}

function accepted(repository: string, id: string, size: number): RegistryAnswer {
  return {
    status: 202,
    headers: {
      location: `/v2/${repository}/blobs/uploads/${id}`,
      range: `0-${Math.max(size - 1, 0)}`,
      'docker-upload-uuid': id,
    },
  }
}

function created(repository: string, digest: string): RegistryAnswer {
  return {
    status: 201,
    headers: { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest },
  }
}

function ensureRepository(store: ImageStore, request: RegistryRequest, name: string): void {
  if (request.createsRepositories && !findRepository(store, name)) createRepository(store, name)
  getRepository(store, name)
}
