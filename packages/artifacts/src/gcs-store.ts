import type { Bucket, File, FileMetadata } from '@google-cloud/storage'
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
import { type GcsOptions, openGcsBucket, statusOf, toGcsFailure } from './gcs-bucket.ts'
import { readGcsBody } from './gcs-request.ts'
import { gcsTarget } from './gcs-upload.ts'
import type { OtherLocation } from './location.ts'
import { directoryPrefix, objectEntries } from './object-entries.ts'
import { type KnownObject, openObject } from './open-object.ts'
import { uploadInParts } from './part-upload.ts'

interface Root {
  bucket: Bucket
  base: ArtifactPath
}

/**
 * A store below a prefix of a bucket of Google Cloud Storage. The version of a file is Google's
 * generation of it. An upload that fails was never finished, and Google forgets it.
 */
export function openGcsStore(location: OtherLocation, options: GcsOptions = {}): ArtifactStore {
  let opened: Promise<Root> | undefined
  const base = location.segments
  const openRoot = () => {
    opened ??= openGcsBucket(location, options).then((bucket) => ({ bucket, base }))
    return opened
  }
  const told = async <Output>(path: ArtifactPath, run: (root: Root) => Promise<Output>) => {
    const root = await openRoot()
    return await run(root).catch((error: unknown) => {
      throw toGcsFailure(error, root.bucket.name, path)
    })
  }
  return {
    list: (path) => told(path, (root) => list(root, path)),
    stat: (path) => told(path, (root) => stat(root, path)),
    open: (path, options = {}) => told(path, (root) => openArtifact(root, path, options)),
    async write(path, body, options = {}) {
      const root = await openRoot()
      return await uploadInParts(gcsTarget(fileOf(root, path), path, options.signal), body, options)
    },
    delete: (path) => told(path, (root) => deleteArtifact(root, path)),
  }
}

async function list({ bucket, base }: Root, path: ArtifactPath): Promise<ArtifactEntry[]> {
  const prefix = directoryPrefix(base, path)
  const directories: string[] = []
  const sizesByFile: [string, number][] = []
  let query: object | null = { prefix, delimiter: '/', autoPaginate: false }
  while (query) {
    const [files, next, answer]: [File[], object | null, unknown] = await bucket.getFiles(query)
    const { prefixes = [] } = answer as { prefixes?: string[] }
    for (const name of prefixes) directories.push(name.slice(prefix.length, -1))
    for (const { name, metadata } of files) {
      sizesByFile.push([name.slice(prefix.length), Number(metadata.size ?? 0)])
    }
    query = next
  }
  return objectEntries(path, { directories, sizesByFile })
}

async function stat(root: Root, path: ArtifactPath): Promise<ArtifactStat> {
  if (path.length === 0) return { kind: 'directory' }
  const metadata = await findMetadata(fileOf(root, path))
  if (metadata) return { kind: 'file', ...versionOf(metadata) }
  if (await isDirectory(root, path)) return { kind: 'directory' }
  throw noSuchArtifact(path)
}

async function openArtifact(
  root: Root,
  path: ArtifactPath,
  options: OpenOptions,
): Promise<OpenArtifact> {
  const metadata = path.length > 0 && (await findMetadata(fileOf(root, path)))
  if (!metadata) {
    throw path.length === 0 || (await isDirectory(root, path))
      ? isADirectory(path)
      : noSuchArtifact(path)
  }
  const file = fileOf(root, path, metadata.generation)
  const sha256 = String(metadata.metadata?.['sha256'])
  const read: KnownObject['read'] = (span) => readGcsBody(file, span)
  return await openObject({ path, version: versionOf(metadata), sha256, read }, options)
}

async function deleteArtifact(root: Root, path: ArtifactPath): Promise<void> {
  let query: object | null = { prefix: directoryPrefix(root.base, path), autoPaginate: false }
  while (query) {
    const [files, next]: [File[], object | null, unknown] = await root.bucket.getFiles(query)
    await Promise.all(
      files.map(({ name }) => root.bucket.file(name).delete({ ignoreNotFound: true })),
    )
    query = next
  }
  if (path.length > 0) await fileOf(root, path).delete({ ignoreNotFound: true })
}

async function findMetadata(file: File): Promise<FileMetadata | undefined> {
  try {
    const [metadata] = await file.getMetadata()
    return metadata
  } catch (error) {
    if (statusOf(error) !== 404 || /bucket/i.test(String(error))) throw error
    return undefined
  }
}

async function isDirectory({ bucket, base }: Root, path: ArtifactPath): Promise<boolean> {
  const prefix = directoryPrefix(base, path)
  const [files] = await bucket.getFiles({ prefix, maxResults: 1, autoPaginate: false })
  return files.length > 0
}

function fileOf({ bucket, base }: Root, path: ArtifactPath, generation?: string | number): File {
  if (path.length === 0) throw noFileName()
  const name = formatArtifactPath(joinArtifactPaths(base, path))
  return bucket.file(name, generation === undefined ? {} : { generation })
}

function versionOf({ size, generation, updated }: FileMetadata): FileVersion {
  return {
    totalBytes: Number(size ?? 0),
    etag: `"${generation ?? ''}"`,
    lastModified: new Date(updated ?? 0),
  }
}
