import { createHash, randomUUID } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import {
  copyFile,
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ApiError } from '@millrace/api/errors'
import { formatArtifactPath, parseArtifactPath } from '@millrace/artifacts/artifact-path'
import { z } from 'zod'
import {
  type ArtifactTree,
  type CopiedFile,
  copyFiles,
  inParallel,
  type TreeFile,
} from './artifact-download.ts'

/** Entries that nobody has used for so long are removed when another one is made. */
const UNUSED_MAX_MS = 14 * 24 * 3600 * 1000
/** No download takes longer; what is older was left by a program that was killed. */
const UNFINISHED_MAX_MS = 24 * 3600 * 1000
const UNFINISHED = '.unfinished-'
const LIST = 'files.json'
const FILES = 'files'
/** So that no program changes by mistake what others will be given too. */
const READ_ONLY = 0o400

const FileList = z.array(z.object({ path: z.string(), sha256: z.string() }))
type FileList = z.output<typeof FileList>

export interface CacheOptions {
  /** Existing and empty. */
  directory: string
  /** Made when it is missing. */
  cacheDirectory: string
  signal?: AbortSignal | undefined
}

/**
 * Puts a tree of a store that names versions of files (`ETag`) into a directory, and keeps it for the next time. An entry stands for these very versions, so a file that was replaced
 * means another one; it comes into being whole, and every file's SHA-256 is checked when it is used.
 * What is handed out are links to the entry's read-only files, which outlive the entry, or copies
 * where the directory is on another file system.
 */
export async function copyThroughCache(
  tree: ArtifactTree,
  files: readonly TreeFile[],
  { directory, cacheDirectory, signal }: CacheOptions,
): Promise<void> {
  const etags = await versionsOf(tree, files)
  const entry = join(cacheDirectory, fingerprint(tree, files, etags))
  if (await takeFrom(entry, directory)) return
  await mkdir(cacheDirectory, { recursive: true, mode: 0o700 })
  await removeOld(cacheDirectory)
  await makeEntry(tree, entry, { files, etags, signal })
  if (!(await takeFrom(entry, directory))) {
    throw new ApiError('ABORTED', `'${entry}' was removed while it was used.`)
  }
}

async function versionsOf({ store }: ArtifactTree, files: readonly TreeFile[]) {
  const etags = new Map<string, string>()
  await inParallel(files, async ({ path }) => {
    const found = await store.stat(path)
    if (found.kind === 'file') etags.set(formatArtifactPath(path), found.etag)
  })
  return etags
}

function fingerprint(
  { uri }: ArtifactTree,
  files: readonly TreeFile[],
  etags: ReadonlyMap<string, string>,
): string {
  const lines = files.map(({ path, sizeBytes }) => {
    const text = formatArtifactPath(path)
    return [text, sizeBytes, etags.get(text) ?? '']
  })
  return createHash('sha256')
    .update(JSON.stringify([uri, lines]))
    .digest('hex')
}

async function makeEntry(
  tree: ArtifactTree,
  entry: string,
  wanted: {
    files: readonly TreeFile[]
    etags: ReadonlyMap<string, string>
    signal: AbortSignal | undefined
  },
): Promise<void> {
  const unfinished = join(dirname(entry), `${UNFINISHED}${randomUUID()}`)
  await mkdir(join(unfinished, FILES), { recursive: true, mode: 0o700 })
  try {
    const { files, signal } = wanted
    const directory = join(unfinished, FILES)
    const copied = await copyFiles(tree, files, { directory, mode: READ_ONLY, signal })
    const changed = copied.find(
      ({ path, etag }) => wanted.etags.get(formatArtifactPath(path)) !== etag,
    )
    if (changed) {
      const path = formatArtifactPath(changed.path)
      throw new ApiError('ABORTED', `'${path}' was replaced while '${tree.uri}' was fetched.`)
    }
    await writeFile(join(unfinished, LIST), JSON.stringify(listOf(copied)), { mode: READ_ONLY })
    // Somebody who was faster has made the same entry.
    await rename(unfinished, entry).catch(ignoreCodes('ENOTEMPTY', 'EEXIST'))
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

function listOf(copied: readonly CopiedFile[]): FileList {
  return copied.map(({ path, sha256 }) => ({ path: formatArtifactPath(path), sha256 }))
}

/** False when there is no such entry, or one with other bytes, which is removed. */
async function takeFrom(entry: string, directory: string): Promise<boolean> {
  const text = await readFile(join(entry, LIST), 'utf8').catch(ignoreCodes('ENOENT'))
  if (text === undefined) return false
  try {
    const files = FileList.parse(JSON.parse(text))
    await inParallel(files, async ({ path, sha256 }) => {
      const segments = parseArtifactPath(path)
      const target = join(directory, ...segments)
      await mkdir(dirname(target), { recursive: true, mode: 0o700 })
      await linkOrCopy(join(entry, FILES, ...segments), target)
      if ((await sha256Of(target)) !== sha256) throw new Error(`${target} has another SHA-256`)
    })
    await utimes(entry, new Date(), new Date())
    return true
  } catch {
    await rm(entry, { recursive: true, force: true })
    for (const name of await readdir(directory)) {
      await rm(join(directory, name), { recursive: true, force: true })
    }
    return false
  }
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch {
    await copyFile(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL)
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash)
  return hash.digest('hex')
}

async function removeOld(cacheDirectory: string): Promise<void> {
  for (const name of await readdir(cacheDirectory)) {
    const path = join(cacheDirectory, name)
    const found = await stat(path).catch(ignoreCodes('ENOENT'))
    const ageMaxMs = name.startsWith(UNFINISHED) ? UNFINISHED_MAX_MS : UNUSED_MAX_MS
    if (found && Date.now() - found.mtimeMs > ageMaxMs) {
      await rm(path, { recursive: true, force: true })
    }
  }
}

function ignoreCodes(...codes: string[]) {
  return (error: unknown): undefined => {
    if (error instanceof Error && 'code' in error && codes.includes(String(error.code))) return
    throw error
  }
}
