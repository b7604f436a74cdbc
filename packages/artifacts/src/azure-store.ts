import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type {
  BlobDownloadResponseParsed,
  BlobGetPropertiesResponse,
  ContainerClient,
} from '@azure/storage-blob'
import { invariant } from '@millrace/api/errors'
import { type ArtifactPath, formatArtifactPath, joinArtifactPaths } from './artifact-path.ts'
import { isADirectory, noFileName, noSuchArtifact } from './artifact-refusal.ts'
import type {
  ArtifactEntry,
  ArtifactStat,
  ArtifactStore,
  FileVersion,
  OpenArtifact,
  OpenOptions,
} from './artifact-store.ts'
import { type AzureOptions, findContainer, toAzureFailure } from './azure-account.ts'
import type { OtherLocation } from './location.ts'
import { directoryPrefix, objectEntries, objectType, quotedEtag } from './object-entries.ts'
import { type KnownObject, openObject } from './open-object.ts'
import { type PartSending, type PartTarget, uploadInParts } from './part-upload.ts'

interface Root {
  container: ContainerClient
  base: ArtifactPath
}

/**
 * A store below a prefix of a container of Azure Blob Storage. The SDK is loaded with the first
 * request. Blocks of an upload that failed are no part of any blob, and Azure drops them.
 */
export function openAzureStore(location: OtherLocation, options: AzureOptions = {}): ArtifactStore {
  let opened: Promise<Root> | undefined
  const base = location.segments
  const openRoot = () => {
    opened ??= findContainer(location, options).then((container) => ({ container, base }))
    return opened
  }
  const told = async <Output>(path: ArtifactPath, run: (root: Root) => Promise<Output>) => {
    const root = await openRoot()
    return await run(root).catch((error: unknown) => {
      throw toAzureFailure(error, path)
    })
  }
  return {
    list: (path) => told(path, (root) => list(root, path)),
    stat: (path) => told(path, (root) => stat(root, path)),
    open: (path, options = {}) => told(path, (root) => openArtifact(root, path, options)),
    delete: (path) => told(path, (root) => deleteArtifact(root, path)),
    write: (path, body, options = {}) =>
      told(path, (root) => uploadInParts(blockTarget(root, path, options.signal), body, options)),
  }
}

async function list({ container, base }: Root, path: ArtifactPath): Promise<ArtifactEntry[]> {
  const prefix = directoryPrefix(base, path)
  const directories: string[] = []
  const sizesByFile: [string, number][] = []
  for await (const item of container.listBlobsByHierarchy('/', { prefix })) {
    const name = item.name.slice(prefix.length)
    if (item.kind === 'prefix') directories.push(name.replace(/\/$/, ''))
    else sizesByFile.push([name, item.properties.contentLength ?? 0])
  }
  return objectEntries(path, { directories, sizesByFile })
}

async function stat(root: Root, path: ArtifactPath): Promise<ArtifactStat> {
  if (path.length === 0 || (await isDirectory(root, path))) {
    if (path.length === 0) return { kind: 'directory' }
    const properties = await blobOf(root, path).getProperties().catch(ignoreMissing)
    return properties ? { kind: 'file', ...versionOf(properties) } : { kind: 'directory' }
  }
  return { kind: 'file', ...versionOf(await blobOf(root, path).getProperties()) }
}

async function openArtifact(
  root: Root,
  path: ArtifactPath,
  options: OpenOptions,
): Promise<OpenArtifact> {
  const properties =
    path.length > 0 && (await blobOf(root, path).getProperties().catch(ignoreMissing))
  if (!properties) {
    if (path.length === 0 || (await isDirectory(root, path))) throw isADirectory(path)
    throw noSuchArtifact(path)
  }
  const version = versionOf(properties)
  const read: KnownObject['read'] = async ({ start, end, signal }) => {
    const answer: BlobDownloadResponseParsed = await blobOf(root, path).download(
      start,
      end - start + 1,
      { conditions: { ifMatch: version.etag }, maxRetryRequests: 0, abortSignal: signal },
    )
    invariant(answer.readableStreamBody instanceof Readable, 'bodies are streams in Node')
    return answer.readableStreamBody
  }
  const sha256 = properties.metadata?.['sha256']
  return await openObject({ path, version, sha256, read }, options)
}

/** Blocks of one blob; its metadata comes with the list of them, and so after the last byte. */
function blockTarget(root: Root, path: ArtifactPath, signal: AbortSignal | undefined): PartTarget {
  const blob = blobOf(root, path)
  const ids: string[] = []
  const blobHTTPHeaders = { blobContentType: objectType(path) }
  const stop = signal ? { abortSignal: signal } : {}
  const upload = {
    async send(bytes: Buffer, number: number, { signal: abortSignal }: PartSending) {
      const id = Buffer.from(String(number).padStart(8, '0')).toString('base64')
      const transactionalContentMD5 = createHash('md5').update(bytes).digest()
      await blob.stageBlock(id, bytes, bytes.length, { abortSignal, transactionalContentMD5 })
      ids.push(id)
    },
    async complete(sha256: string) {
      await blob.commitBlockList(ids, { metadata: { sha256 }, blobHTTPHeaders, ...stop })
    },
    async abort() {},
  }
  return {
    async putWhole(bytes, sha256) {
      await blob.upload(bytes, bytes.length, { metadata: { sha256 }, blobHTTPHeaders, ...stop })
    },
    begin: async () => upload,
  }
}

async function deleteArtifact(root: Root, path: ArtifactPath): Promise<void> {
  const prefix = directoryPrefix(root.base, path)
  for await (const { name } of root.container.listBlobsFlat({ prefix })) {
    await root.container.getBlobClient(name).deleteIfExists()
  }
  if (path.length > 0) await blobOf(root, path).deleteIfExists()
}

async function isDirectory({ container, base }: Root, path: ArtifactPath): Promise<boolean> {
  const prefix = directoryPrefix(base, path)
  const first = await container.listBlobsFlat({ prefix }).byPage({ maxPageSize: 1 }).next()
  return (first.value?.segment?.blobItems?.length ?? 0) > 0
}

function blobOf({ container, base }: Root, path: ArtifactPath) {
  if (path.length === 0) throw noFileName()
  return container.getBlockBlobClient(formatArtifactPath(joinArtifactPaths(base, path)))
}

function versionOf({ contentLength, etag, lastModified }: BlobGetPropertiesResponse): FileVersion {
  return {
    totalBytes: contentLength ?? 0,
    etag: quotedEtag(etag),
    lastModified: lastModified ?? new Date(0),
  }
}

function ignoreMissing(error: unknown): undefined {
  if (error instanceof Error && 'statusCode' in error && error.statusCode === 404) return undefined
  throw error
}
