import { createHash, randomUUID } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync } from 'node:fs'
import { type FileHandle, link, open, readdir, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type ChecksumAlgorithm, startChecksum } from './checksums.ts'
import { S3Error } from './s3-error.ts'

/** Bytes on disk under a name of our own; immutable once written. */
export interface Blob {
  id: string
  sizeBytes: number
}

/** A blob just written, with what was computed on the way. */
export interface WrittenBlob extends Blob {
  md5: Buffer
  /** By algorithm, base64. */
  checksums: Partial<Record<ChecksumAlgorithm, string>>
}

const FOLDERS = 256
const READ_BYTES = 256 * 1024
const ID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/

/** Makes the folders of a blob directory, durably; those that exist stay as they are. */
export function createBlobFolders(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const existing = new Set(readdirSync(directory))
  if (existing.size === FOLDERS) return
  for (let folder = 0; folder < FOLDERS; folder++) {
    mkdirSync(join(directory, folder.toString(16).padStart(2, '0')), {
      recursive: true,
      mode: 0o700,
    })
  }
  const descriptor = openSync(directory, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}

/** Writes a body through to the disk, one chunk in memory at a time. A failed one leaves nothing. */
export async function writeBlob(
  directory: string,
  body: AsyncIterable<Uint8Array>,
  options: { algorithms?: ChecksumAlgorithm[]; sizeMaxBytes?: number } = {},
): Promise<WrittenBlob> {
  const id = randomUUID()
  const handle = await open(pathOf(directory, id), 'wx', 0o600)
  try {
    const written = await receive(body, handle, options)
    await handle.sync()
    await syncDirectory(join(directory, id.slice(0, 2)))
    return { id, ...written }
  } catch (error) {
    await removeBlobs(directory, [id])
    throw isDiskFull(error) ? new S3Error('ServiceUnavailable', FULL(error)) : error
  } finally {
    await handle.close()
  }
}

const FULL = (cause: unknown) => ({ message: 'The disk of the object store is full.', cause })

async function receive(
  body: AsyncIterable<Uint8Array>,
  handle: FileHandle,
  { algorithms = [], sizeMaxBytes = Infinity }: Parameters<typeof writeBlob>[2] & {},
): Promise<Omit<WrittenBlob, 'id'>> {
  const md5 = createHash('md5')
  const running = algorithms.map((algorithm) => ({ algorithm, sum: startChecksum(algorithm) }))
  let sizeBytes = 0
  for await (const chunk of body) {
    sizeBytes += chunk.length
    if (sizeBytes > sizeMaxBytes) throw new S3Error('EntityTooLarge')
    // The sums are computed here while a thread of the pool writes the same bytes.
    const written = writeAll(handle, chunk)
    md5.update(chunk)
    for (const { sum } of running) sum.update(chunk)
    await written
  }
  const checksums = Object.fromEntries(
    running.map(({ algorithm, sum }) => [algorithm, sum.digest().toString('base64')]),
  )
  return { sizeBytes, md5: md5.digest(), checksums }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.length; ) {
    offset += (await handle.write(chunk, offset)).bytesWritten
  }
}

/** A second name for the bytes of a blob: a copy that takes no space and no time. */
export async function linkBlob(directory: string, blob: Blob): Promise<Blob> {
  const id = randomUUID()
  await link(pathOf(directory, blob.id), pathOf(directory, id))
  await syncDirectory(join(directory, id.slice(0, 2)))
  return { id, sizeBytes: blob.sizeBytes }
}

/** Removes blobs that no entry names any more; one that is gone already is no error. */
export async function removeBlobs(directory: string, ids: string[]): Promise<void> {
  for (const id of ids) {
    await unlink(pathOf(directory, id)).catch((error: unknown) => {
      if (!isMissing(error)) throw error
    })
  }
}

/** Opens a blob for reading; ENOENT when it was removed. */
export async function openBlob(directory: string, id: string): Promise<FileHandle> {
  return await open(pathOf(directory, id), 'r')
}

/** Reads `start` to `end` (inclusive) of an open blob, a quarter of a megabyte at a time. */
export async function* readBlob(
  handle: FileHandle,
  start: number,
  end: number,
): AsyncGenerator<Buffer> {
  for (let position = start; position <= end; ) {
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, end - position + 1))
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position)
    if (bytesRead === 0) throw new Error(`A blob ends at byte ${position}, before byte ${end}`)
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** The ids of blobs that were last written or linked before a time. */
export async function listOldBlobs(directory: string, beforeMs: number): Promise<string[]> {
  const old: string[] = []
  for (const folder of await readdir(directory)) {
    for (const id of await readdir(join(directory, folder))) {
      const changedMs = await stat(join(directory, folder, id)).then(
        (stats) => stats.ctimeMs,
        () => Infinity,
      )
      if (ID.test(id) && changedMs < beforeMs) old.push(id)
    }
  }
  return old
}

/** Whether a system error says that a file is not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

function isDiskFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(ENOSPC|EDQUOT)$/.test(String(error.code))
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r')
  await directory.sync()
}

/** Ids are ours, so that no key of a client is ever part of a path. */
function pathOf(directory: string, id: string): string {
  return join(directory, id.slice(0, 2), id)
}
