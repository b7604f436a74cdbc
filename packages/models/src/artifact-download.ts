import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ApiError, invalid, notFound } from '@millrace/api/errors'
import {
  type ArtifactPath,
  formatArtifactPath,
  parseArtifactPath,
} from '@millrace/artifacts/artifact-path'
import type { ArtifactStore } from '@millrace/artifacts/artifact-store'

/** Where a model's files are, whatever holds them. */
export interface ArtifactTree {
  store: ArtifactStore
  /** What people know it by. */
  uri: string
}

export interface TreeFile {
  path: ArtifactPath
  sizeBytes: number
}

/** A file that was copied. */
export interface CopiedFile extends TreeFile {
  etag: string
  /** Lower-case hex. */
  sha256: string
}

export interface CopyOptions {
  directory: string
  /** Permissions of the files; their owner's alone by default. */
  mode?: number
  signal?: AbortSignal | undefined
}

// A server that lists without end must not fill the disk of whoever asks it.
const ENTRIES_MAX = 100_000
const DEPTH_MAX = 64
const PARALLEL = 8

/**
 * All files of a tree.
 *
 * @throws ApiError RESOURCE_DOES_NOT_EXIST when there are none, INVALID_PARAMETER_VALUE when there are
 * too many
 */
export async function listTree(
  { store, uri }: ArtifactTree,
  signal?: AbortSignal,
): Promise<TreeFile[]> {
  const files: TreeFile[] = []
  const folders: ArtifactPath[] = [parseArtifactPath('')]
  for (let folder = folders.shift(); folder; folder = folders.shift()) {
    signal?.throwIfAborted()
    for (const entry of await store.list(folder)) {
      if (files.length + folders.length >= ENTRIES_MAX || entry.path.length > DEPTH_MAX) {
        throw invalid(`There are too many artifacts at '${uri}' for a model.`)
      }
      if (entry.kind === 'directory') folders.push(entry.path)
      else files.push({ path: entry.path, sizeBytes: entry.sizeBytes })
    }
  }
  if (files.length === 0) throw notFound(`There are no artifacts at '${uri}'.`)
  return files
}

/**
 * Copies files of a tree into an existing, empty directory. It rejects, once nothing is written to
 * the directory any more, unless every file came whole.
 */
export async function copyFiles(
  tree: ArtifactTree,
  files: readonly TreeFile[],
  options: CopyOptions,
): Promise<CopiedFile[]> {
  const copied: CopiedFile[] = []
  const stop = new AbortController()
  const { signal: given } = options
  const signal = given ? AbortSignal.any([given, stop.signal]) : stop.signal
  await inParallel(files, async (file) => {
    try {
      copied.push(await copyFile(tree, file, { ...options, signal }))
    } catch (error) {
      stop.abort()
      throw error
    }
  })
  return copied
}

/** Runs something for every element, a few at a time; rejects with the first failure after all. */
export async function inParallel<Element>(
  elements: readonly Element[],
  run: (element: Element) => Promise<void>,
): Promise<void> {
  const left = elements.values()
  let failure: { error: unknown } | undefined
  const work = async () => {
    for (const element of left) {
      if (failure) return
      await run(element).catch((error: unknown) => {
        failure ??= { error }
      })
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  if (failure) throw failure.error
}

async function copyFile(
  { store, uri }: ArtifactTree,
  file: TreeFile,
  { directory, mode = 0o600, signal }: CopyOptions & { signal: AbortSignal },
): Promise<CopiedFile> {
  signal.throwIfAborted()
  await mkdir(join(directory, ...file.path.slice(0, -1)), { recursive: true, mode: 0o700 })
  const opened = await store.open(file.path)
  const hash = createHash('sha256')
  let sizeBytes = 0
  const count = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      hash.update(chunk)
      sizeBytes += chunk.length
      callback(null, chunk)
    },
  })
  const target = createWriteStream(join(directory, ...file.path), { flags: 'wx', mode })
  await pipeline(opened.body, count, target, { signal })
  if (sizeBytes !== opened.totalBytes) {
    throw new ApiError(
      'TEMPORARILY_UNAVAILABLE',
      `'${formatArtifactPath(file.path)}' of '${uri}' broke off after ${sizeBytes} of ` +
        `${opened.totalBytes} bytes.`,
    )
  }
  return { ...file, sizeBytes, etag: opened.etag, sha256: hash.digest('hex') }
}
