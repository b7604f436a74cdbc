import { createHash, randomUUID } from 'node:crypto'
import { type FileHandle, lstat, mkdir, open, readdir, rmdir, unlink } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { ApiError } from '@millrace/api/errors'
import type { WriteOptions, WrittenArtifact } from './artifact-store.ts'
import { childPath, type Directory, hasCode, ignore, openChildDirectory } from './directory.ts'
import { uploadChunks } from './upload-body.ts'

/**
 * Where unfinished uploads live, directly below the root and so on its file system. `#` is in no
 * ArtifactPath, so no client can list, read, write or delete it.
 */
export const UPLOADS = '#uploads'

/** A live upload is written to more often than this; what is older was left by a crash. */
const STALE_AFTER_MS = 24 * 3600 * 1000

/** A file being uploaded; disposing removes it unless it was renamed, and closes it. */
export interface Upload extends AsyncDisposable {
  readonly handle: FileHandle
  readonly path: string
}

/**
 * Starts an upload in a store's root. It begins again when another upload, finishing at this
 * moment, has removed the empty directory.
 */
export async function createUpload(root: Directory): Promise<Upload> {
  for (;;) {
    await mkdir(childPath(root, UPLOADS), { mode: 0o700 }).catch(ignore(undefined, 'EEXIST'))
    const uploads = await openChildDirectory(root, UPLOADS).catch(ignore(undefined, 'ENOENT'))
    if (!uploads) continue
    const path = childPath(uploads, randomUUID())
    const handle = await open(path, 'wx', 0o600).catch(async (error) => {
      await uploads[Symbol.asyncDispose]()
      return ignore(undefined, 'ENOENT')(error)
    })
    if (!handle) continue
    const dispose = async () => {
      await unlink(path).catch(ignore(undefined, 'ENOENT'))
      await Promise.all([handle.close(), uploads[Symbol.asyncDispose]()])
      await rmdir(childPath(root, UPLOADS)).catch(ignore(undefined, 'ENOTEMPTY', 'ENOENT'))
    }
    return { handle, path, [Symbol.asyncDispose]: dispose }
  }
}

/** Writes a body through to the disk, one chunk in memory at a time. */
export async function receive(
  body: Readable | AsyncIterable<Uint8Array>,
  handle: FileHandle,
  options: WriteOptions,
): Promise<WrittenArtifact> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const chunk of uploadChunks(body, options)) {
    sizeBytes += chunk.length
    // The hash is computed here while a thread of the pool writes the same bytes.
    const written = writeAll(handle, chunk)
    hash.update(chunk)
    await written
  }
  await handle.sync().catch(refuseWhenFull)
  return { sizeBytes, sha256: hash.digest('hex') }
}

/** Removes what crashed uploads left behind. */
export async function removeStaleUploads(root: Directory): Promise<void> {
  const uploads = childPath(root, UPLOADS)
  for (const name of await readdir(uploads).catch(ignore([], 'ENOENT'))) {
    const path = `${uploads}/${name}`
    const stats = await lstat(path).catch(ignore(undefined, 'ENOENT'))
    if (stats?.isFile() && stats.mtimeMs < Date.now() - STALE_AFTER_MS) {
      await unlink(path).catch(ignore(undefined, 'ENOENT'))
    }
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array) {
  let offset = 0
  while (offset < chunk.length) {
    const { bytesWritten } = await handle.write(chunk, offset).catch(refuseWhenFull)
    offset += bytesWritten
  }
}

function refuseWhenFull(error: unknown): never {
  if (!hasCode(error, 'ENOSPC', 'EDQUOT')) throw error
  throw new ApiError('TEMPORARILY_UNAVAILABLE', 'The artifact store is full', {
    cause: error,
    retryAfterSeconds: 60,
  })
}
