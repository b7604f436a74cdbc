import { isUtf8 } from 'node:buffer'
import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, lstat, open, readdir, rename, rmdir, unlink } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { ApiError, invalid } from '@millrace/api/errors'
import {
  type ArtifactPath,
  formatArtifactPath,
  isArtifactName,
  joinArtifactPaths,
  parseArtifactPath,
} from './artifact-path.ts'
import { isADirectory, noFileName, noSuchArtifact } from './artifact-refusal.ts'
import type {
  ArtifactEntry,
  ArtifactStat,
  ArtifactStore,
  FileVersion,
  OpenArtifact,
  OpenOptions,
  WriteOptions,
  WrittenArtifact,
} from './artifact-store.ts'
import { resolveRange } from './byte-range.ts'
import {
  canOpenByDescriptor,
  childPath,
  type Directory,
  hasCode,
  ignore,
  openChildDirectory,
  openOrCreateChildDirectory,
  openOrCreateRootDirectory,
  openRootDirectory,
} from './directory.ts'
import { createUpload, receive, removeStaleUploads, UPLOADS } from './file-upload.ts'

const CLEAN_INTERVAL_MS = 3600 * 1000
const PLACE_ATTEMPTS_MAX = 5
const LSTATS_AT_ONCE = 64
// As fast as larger chunks, and half of the memory that chunks awaiting collection take.
const READ_CHUNK_BYTES = 128 * 1024
// Without O_NONBLOCK, opening a pipe someone put below the root would wait for its writer.
const READ_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

interface Root {
  path: string
  byDescriptor: boolean
}

/**
 * A store in a local directory (absolute path), created at the first write. Links below the root
 * are never followed, wherever they lead, and are not listed; files are mode 0600 and directories
 * 0700. `byDescriptor` chooses how children are reached, see `Directory`.
 */
export function openFileStore(
  path: string,
  { byDescriptor = canOpenByDescriptor }: { byDescriptor?: boolean } = {},
): ArtifactStore {
  const root: Root = { path, byDescriptor }
  let cleanedAtMs = 0

  return {
    list: (path) => list(root, path),
    stat: (path) => stat(root, path),
    open: (path, options = {}) => openArtifact(root, path, options),
    delete: (path) => deleteArtifact(root, path),

    async write(path, body, options = {}) {
      await refuseUnwritable(root, path)
      await using directory = await openOrCreateRoot(root)
      if (Date.now() - cleanedAtMs > CLEAN_INTERVAL_MS) {
        cleanedAtMs = Date.now()
        await removeStaleUploads(directory)
      }
      return await write(directory, path, body, options)
    },
  }
}

async function list(root: Root, path: ArtifactPath): Promise<ArtifactEntry[]> {
  await using directory = await findDirectory(root, path)
  if (!directory) return []

  const names = await readdir(directory.path, { encoding: 'buffer' })
  const paths = names
    .sort(Buffer.compare)
    .map((name) => (isUtf8(name) ? name.toString() : ''))
    .filter(isArtifactName)
    .map((name) => joinArtifactPaths(path, parseArtifactPath(name)))

  const entries: (ArtifactEntry | undefined)[] = []
  for (let start = 0; start < paths.length; start += LSTATS_AT_ONCE) {
    const some = paths.slice(start, start + LSTATS_AT_ONCE)
    entries.push(...(await Promise.all(some.map((path) => findEntry(directory, path)))))
  }
  return entries.filter((entry) => entry !== undefined)
}

async function findEntry(directory: Directory, path: ArtifactPath) {
  const stats = await lstat(childPath(directory, path.at(-1) ?? '')).catch(
    ignore(undefined, 'ENOENT'),
  )
  if (stats?.isDirectory()) return { kind: 'directory', path } as const
  if (stats?.isFile()) return { kind: 'file', path, sizeBytes: stats.size } as const
  return undefined
}

async function stat(root: Root, path: ArtifactPath): Promise<ArtifactStat> {
  if (path.length === 0) return { kind: 'directory' }
  await using directory = await getParent(root, path)
  const stats = await lstat(childPath(directory, nameOf(path)), { bigint: true }).catch(
    refuseMissing(path),
  )
  if (stats.isDirectory()) return { kind: 'directory' }
  if (!stats.isFile()) throw noSuchArtifact(path)
  return { kind: 'file', ...versionOf(stats) }
}

async function openArtifact(
  root: Root,
  path: ArtifactPath,
  options: OpenOptions,
): Promise<OpenArtifact> {
  if (path.length === 0) throw isADirectory(path)
  await using directory = await getParent(root, path)
  const handle = await open(childPath(directory, nameOf(path)), READ_FILE).catch(
    refuseMissing(path),
  )
  try {
    const stats = await handle.stat({ bigint: true })
    if (stats.isDirectory()) throw isADirectory(path)
    if (!stats.isFile()) throw noSuchArtifact(path)
    return await readVersion(handle, versionOf(stats), options)
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function readVersion(
  handle: FileHandle,
  version: FileVersion,
  { range: wanted, ifRange = version.etag }: OpenOptions,
): Promise<OpenArtifact> {
  const { totalBytes } = version
  const range =
    wanted && ifRange === version.etag
      ? (resolveRange(wanted, totalBytes) ?? ('unsatisfiable' as const))
      : undefined
  const whole = { start: 0, end: totalBytes - 1 }
  const bytes = range === 'unsatisfiable' ? undefined : (range ?? whole)
  const sizeBytes = bytes ? bytes.end - bytes.start + 1 : 0
  const opened = { ...version, sizeBytes, ...(range !== undefined && { range }) }
  if (bytes && sizeBytes > 0) {
    const body = handle.createReadStream({ ...bytes, highWaterMark: READ_CHUNK_BYTES })
    return { ...opened, body }
  }
  await handle.close()
  return { ...opened, body: Readable.from([]) }
}

async function write(
  root: Directory,
  path: ArtifactPath,
  body: Readable | AsyncIterable<Uint8Array>,
  options: WriteOptions,
): Promise<WrittenArtifact> {
  await using upload = await createUpload(root)
  const written = await receive(body, upload.handle, options)
  for (let attempt = 0; attempt < PLACE_ATTEMPTS_MAX; attempt++) {
    if (await place(root, path, upload.path)) return written
  }
  throw new ApiError('ABORTED', `'${formatArtifactPath(path)}' was deleted while it was written`)
}

/** Moves a finished upload to its path; false when a concurrent delete took a directory of it. */
async function place(root: Directory, path: ArtifactPath, uploadPath: string): Promise<boolean> {
  try {
    await using parent = await openOrCreateParent(root, path)
    await rename(uploadPath, childPath(parent ?? root, nameOf(path)))
    await (parent ?? root).handle.sync()
    return true
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false
    if (hasCode(error, 'EISDIR')) throw isADirectory(path)
    throw error
  }
}

async function openOrCreateRoot(root: Root) {
  try {
    return await openOrCreateRootDirectory(root.path, root.byDescriptor)
  } catch (error) {
    if (!hasCode(error, 'ENOTDIR', 'EEXIST', 'ENAMETOOLONG')) throw error
    throw invalid(`The artifact root '${root.path}' cannot be a directory`)
  }
}

/** The directory of `path`, with those above it, or undefined when it is the root. */
async function openOrCreateParent(root: Directory, path: ArtifactPath) {
  let directory: Directory | undefined
  for (const [index, name] of path.slice(0, -1).entries()) {
    const parent = directory ?? root
    try {
      directory = await openOrCreateChildDirectory(parent, name)
    } catch (error) {
      if (hasCode(error, 'ENOTDIR')) throw notDirectory(path, index)
      throw error
    } finally {
      if (parent !== root) await parent.handle.close()
    }
  }
  return directory
}

/** Refuses what could not be placed later, before the body is received. */
async function refuseUnwritable(root: Root, path: ArtifactPath) {
  if (path.length === 0) throw noFileName()
  const found = await walk(root, path.slice(0, -1))
  if (found.kind === 'blocked') throw notDirectory(path, found.index)
  if (found.kind === 'missing') return
  await using directory = found.directory
  const stats = await lstat(childPath(directory, nameOf(path))).catch(ignore(undefined, 'ENOENT'))
  if (stats?.isDirectory()) throw isADirectory(path)
}

async function deleteArtifact(root: Root, path: ArtifactPath) {
  await using directory = await findDirectory(root, path.slice(0, -1))
  if (!directory) return
  if (path.length === 0) await deleteChildren(directory, (name) => name.toString() !== UPLOADS)
  else await deleteChild(directory, nameOf(path))
  await directory.handle.sync()
}

async function deleteChild(parent: Directory, name: string | Buffer): Promise<void> {
  const directory = await openChildDirectory(parent, name).catch(
    ignore(undefined, 'ENOENT', 'ENOTDIR', 'ELOOP'),
  )
  const path = childPath(parent, name)
  if (!directory) {
    // A directory again only if someone replaced the file meanwhile: theirs is the later write.
    await unlink(path).catch(ignore(undefined, 'ENOENT', 'EISDIR', 'EPERM'))
    return
  }
  try {
    await deleteChildren(directory, () => true)
  } finally {
    await directory.handle.close()
  }
  // Not empty when someone wrote into it meanwhile: the later write wins.
  await rmdir(path).catch(ignore(undefined, 'ENOENT', 'ENOTEMPTY', 'ENOTDIR'))
}

async function deleteChildren(directory: Directory, isDoomed: (name: Buffer) => boolean) {
  for (const name of await readdir(directory.path, { encoding: 'buffer' })) {
    if (isDoomed(name)) await deleteChild(directory, name)
  }
}

type Walk =
  | { kind: 'found'; directory: Directory }
  | { kind: 'missing' }
  | { kind: 'blocked'; index: number }

/** Opens a directory of the store; blocked when the segment at `index` is a file or a link. */
async function walk(root: Root, segments: readonly string[]): Promise<Walk> {
  let directory = await openRootDirectory(root.path, root.byDescriptor).catch(
    ignore(undefined, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG'),
  )
  if (!directory) return { kind: 'missing' }
  for (const [index, name] of segments.entries()) {
    const parent: Directory = directory
    try {
      directory = await openChildDirectory(parent, name)
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return { kind: 'missing' }
      if (hasCode(error, 'ENOTDIR', 'ELOOP')) return { kind: 'blocked', index }
      throw error
    } finally {
      await parent.handle.close()
    }
  }
  return { kind: 'found', directory }
}

async function findDirectory(root: Root, segments: readonly string[]) {
  const found = await walk(root, segments)
  return found.kind === 'found' ? found.directory : undefined
}

async function getParent(root: Root, path: ArtifactPath) {
  const directory = await findDirectory(root, path.slice(0, -1))
  if (!directory) throw noSuchArtifact(path)
  return directory
}

/** A new file has a new inode, so equal ETags mean equal bytes unless someone edits in place. */
function versionOf({ size, mtimeNs, mtime, ino }: BigIntStats): FileVersion {
  const etag = `"${[size, mtimeNs, ino].map((part) => part.toString(36)).join('-')}"`
  return { totalBytes: Number(size), etag, lastModified: mtime }
}

function nameOf(path: ArtifactPath): string {
  return path.at(-1) ?? ''
}

function refuseMissing(path: ArtifactPath) {
  return (error: unknown): never => {
    throw hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO') ? noSuchArtifact(path) : error
  }
}

function notDirectory(path: ArtifactPath, index: number) {
  const blocker = path.slice(0, index + 1).join('/')
  return invalid(`Cannot write '${formatArtifactPath(path)}': '${blocker}' is not a directory`)
}
