import { type FileHandle, open } from 'node:fs/promises'
import { ApiError } from '@millrace/api/errors'
import type { CallRegistry } from './registry-client.ts'

/** How a blob came to be in the repository. */
export type BlobOutcome = 'there already' | 'mounted' | 'uploaded'

export interface BlobUpload {
  repository: string
  digest: string
  /** Bytes of `file`. */
  size: number
  file: string
  /** Another repository of the registry that may hold the blob. */
  mountFrom?: string | undefined
  /** Bytes of one request at most; the whole blob in one unless given, as other clients do. */
  chunkSize?: number | undefined
}

/** Bytes that are read at once. */
const READ_SIZE = 256 * 1024
const ATTEMPTS = 5
const FIRST_DELAY_MS = 200

/**
 * Puts a blob into a repository, and only what is missing of it, without holding it in memory: a
 * registry writes what it has to its disk after every request, so that few are faster. When the connection
 * breaks or the registry is briefly unwell, the registry is asked how far it got and the upload
 * goes on from there.
 */
export async function uploadBlob(call: CallRegistry, upload: BlobUpload): Promise<BlobOutcome> {
  const { repository, digest, mountFrom } = upload
  const scope = pushScope(repository)
  const blob = `/v2/${repository}/blobs/${digest}`
  const head = await call({ method: 'HEAD', path: blob, scope, expected: [200, 404] })
  if (head.status === 200) return 'there already'

  const mount = mountFrom && `?${new URLSearchParams({ mount: digest, from: mountFrom })}`
  const begun = await call({
    method: 'POST',
    path: `/v2/${repository}/blobs/uploads/${mount ?? ''}`,
    headers: { 'content-length': '0' },
    scope: mountFrom ? `${scope} repository:${mountFrom}:pull` : scope,
    expected: [201, 202],
  })
  if (begun.status === 201) return 'mounted'
  await using source = await open(upload.file)
  await sendChunks(call, upload, source, locationOf(begun, scope))
  return 'uploaded'
}

/** The right to read and write a repository, as registries name it. */
export function pushScope(repository: string): string {
  return `repository:${repository}:pull,push`
}

interface Progress {
  /** Where the next chunk goes. */
  location: string
  /** Bytes that the registry has. */
  sent: number
}

async function sendChunks(
  call: CallRegistry,
  upload: BlobUpload,
  source: FileHandle,
  location: string,
): Promise<void> {
  let progress: Progress = { location, sent: 0 }
  let failures = 0
  while (true) {
    try {
      if (progress.sent >= upload.size) return await finish(call, upload, progress.location)
      const sentBefore = progress.sent
      progress = await sendChunk(call, upload, source, progress)
      if (progress.sent > sentBefore) failures = 0
    } catch (error) {
      failures += 1
      if (!isPassing(error) || failures >= ATTEMPTS) throw error
      await new Promise((resolve) => setTimeout(resolve, FIRST_DELAY_MS * 2 ** (failures - 1)))
      const sentBefore = progress.sent
      progress = await askProgress(call, upload, progress)
      if (progress.sent > sentBefore) failures = 0
    }
  }
}

async function sendChunk(
  call: CallRegistry,
  { repository, size, chunkSize = size }: BlobUpload,
  source: FileHandle,
  { location, sent }: Progress,
): Promise<Progress> {
  const scope = pushScope(repository)
  const length = Math.min(chunkSize, size - sent)
  const taken = await call({
    method: 'PATCH',
    path: location,
    headers: {
      'content-type': 'application/octet-stream',
      'content-length': `${length}`,
      'content-range': `${sent}-${sent + length - 1}`,
    },
    body: () => readPart(source, sent, length),
    scope,
    expected: [202],
  })
  return { location: locationOf(taken, location), sent: received(taken) || sent + length }
}

/** The bytes of a file from `start` on, read as they are wanted. */
function readPart(source: FileHandle, start: number, length: number) {
  let at = start
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const wanted = Math.min(READ_SIZE, start + length - at)
      const { bytesRead, buffer } = await source.read(new Uint8Array(wanted), 0, wanted, at)
      if (bytesRead === 0) {
        controller.error(new ApiError('INVALID_STATE', 'The file became shorter while it was sent'))
        return
      }
      at += bytesRead
      controller.enqueue(buffer.subarray(0, bytesRead))
      if (at >= start + length) controller.close()
    },
  })
}

async function finish(
  call: CallRegistry,
  { repository, digest }: BlobUpload,
  location: string,
): Promise<void> {
  const separator = location.includes('?') ? '&' : '?'
  await call({
    method: 'PUT',
    path: `${location}${separator}digest=${encodeURIComponent(digest)}`,
    headers: { 'content-length': '0' },
    scope: pushScope(repository),
    expected: [201, 204],
  })
}

/** How far the registry got; when it has forgotten the upload, a new one from the start. */
async function askProgress(
  call: CallRegistry,
  { repository }: BlobUpload,
  { location }: Progress,
): Promise<Progress> {
  const scope = pushScope(repository)
  const status = await call({ method: 'GET', path: location, scope, expected: [204, 404, 405] })
  await status.body?.cancel()
  if (status.status === 204) {
    return { location: locationOf(status, location), sent: received(status) ?? 0 }
  }
  const begun = await call({
    method: 'POST',
    path: `/v2/${repository}/blobs/uploads/`,
    headers: { 'content-length': '0' },
    scope,
    expected: [202],
  })
  return { location: locationOf(begun, location), sent: 0 }
}

function isPassing(error: unknown): boolean {
  return error instanceof ApiError && error.code === 'TEMPORARILY_UNAVAILABLE'
}

function locationOf(response: Response, known: string): string {
  const location = response.headers.get('location')
  return location ? new URL(location, response.url).href : known
}

/** Bytes that `Range: 0-N` stands for; an empty upload is `0-0`, or has no header. */
function received(response: Response): number | undefined {
  const end = /^(?:bytes=)?0-(\d+)$/.exec(response.headers.get('range') ?? '')?.[1]
  if (end === undefined) return undefined
  return Number(end) === 0 ? 0 : Number(end) + 1
}
