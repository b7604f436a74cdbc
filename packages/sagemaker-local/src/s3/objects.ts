import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import {
  type Blob,
  isMissing,
  linkBlob,
  openBlob,
  readBlob,
  removeBlobs,
  writeBlob,
} from './blob-files.ts'
import { getBucket } from './bucket-store.ts'
import { type ChecksumAlgorithm, checksumHeader } from './checksums.ts'
import {
  findObject,
  type LocatedObject,
  locateObject,
  NO_PROPERTIES,
  type ObjectProperties,
  removeEntry,
  replaceEntry,
  type StoredObject,
} from './object-entry.ts'
import { keyBytes, type ObjectStore } from './object-store.ts'
import { S3Error } from './s3-error.ts'

/** The most that one PutObject or UploadPart may bring. */
export const UPLOAD_MAX_BYTES = 5 * 1024 ** 3

// More open files than this are not kept for one reader; the rest is opened when it is reached.
const OPEN_BLOBS_MAX = 64

/** What the sender says its bytes are; checked when they have all arrived. */
export interface ExpectedBody {
  md5?: Buffer
  checksum?: {
    algorithm: ChecksumAlgorithm
    /** Base64; asked for after the last byte, because it may come in a trailer. */
    value(): string | undefined
  }
}

/** Refuses a write by what is there before it, in the same transaction; undefined if nothing is. */
export type WriteCondition = (existing: StoredObject | undefined) => void

export interface PutObject {
  bucket: string
  key: string
  body: AsyncIterable<Uint8Array>
  properties?: Partial<ObjectProperties>
  tags?: Record<string, string>
  expected?: ExpectedBody
  condition?: WriteCondition
  sizeMaxBytes?: number
}

/** Writes an object. When this returns, it is on the disk; when it throws, nothing has changed. */
export async function putObject(store: ObjectStore, put: PutObject): Promise<StoredObject> {
  const { bucket, key, properties, tags = {}, expected, condition } = put
  getBucket(store, bucket)
  keyBytes(key)
  const { blob, md5, checksum } = await receiveBody(store, put.body, {
    sizeMaxBytes: put.sizeMaxBytes ?? UPLOAD_MAX_BYTES,
    ...(expected && { expected }),
  })
  const entry = {
    ...NO_PROPERTIES,
    ...properties,
    bucket,
    key,
    tags,
    sizeBytes: blob.sizeBytes,
    etag: md5.toString('hex'),
    ...(checksum && { checksum: { ...checksum, type: 'FULL_OBJECT' as const } }),
    blobs: [blob],
  }
  return await replaceObject(store, entry, condition)
}

/** Names the blobs of an entry in the index; when that is refused, they are removed or kept. */
export async function replaceObject(
  store: ObjectStore,
  entry: Omit<LocatedObject, 'modifiedMs'>,
  condition: WriteCondition | undefined,
  { keepBlobs = false } = {},
): Promise<StoredObject> {
  const modifiedMs = Date.now()
  let unnamed = keepBlobs ? [] : entry.blobs.map(({ id }) => id)
  try {
    unnamed = store.write(() => {
      condition?.(findObject(store, entry.bucket, entry.key))
      return replaceEntry(store, entry, modifiedMs)
    })
  } finally {
    await removeBlobs(store.blobs, unnamed)
  }
  const { blobs: _, ...object } = entry
  return { ...object, modifiedMs }
}

/** Writes a body as a blob and checks it against what the sender says; a wrong one leaves nothing. */
export async function receiveBody(
  store: ObjectStore,
  body: AsyncIterable<Uint8Array>,
  { expected = {}, sizeMaxBytes }: { expected?: ExpectedBody; sizeMaxBytes: number },
): Promise<{
  blob: Blob
  md5: Buffer
  checksum?: { algorithm: ChecksumAlgorithm; value: string }
}> {
  const algorithm = expected.checksum?.algorithm
  const { id, sizeBytes, md5, checksums } = await writeBlob(store.blobs, body, {
    algorithms: algorithm ? [algorithm] : [],
    sizeMaxBytes,
  })
  const value = algorithm && checksums[algorithm]
  try {
    if (expected.md5 && !expected.md5.equals(md5)) throw new S3Error('BadDigest')
    const said = expected.checksum?.value()
    if (algorithm && said !== undefined && said !== value) {
      throw badChecksum(algorithm, said)
    }
  } catch (error) {
    await removeBlobs(store.blobs, [id])
    throw error
  }
  return {
    blob: { id, sizeBytes },
    md5,
    ...(algorithm && value !== undefined && { checksum: { algorithm, value } }),
  }
}

/** The refusal of a body whose checksum is another; `InvalidRequest` when it cannot be one. */
function badChecksum(algorithm: ChecksumAlgorithm, said: string): S3Error {
  const sizeBytes = { CRC32: 4, CRC32C: 4, CRC64NVME: 8, SHA1: 20, SHA256: 32 }[algorithm]
  if (Buffer.from(said, 'base64').length !== sizeBytes) {
    return new S3Error('InvalidRequest', {
      message: `Value for ${checksumHeader(algorithm)} header is invalid.`,
    })
  }
  return new S3Error('BadDigest', {
    message: `The ${algorithm} you specified did not match the calculated checksum.`,
  })
}

export interface ReadObject {
  bucket: string
  key: string
  /**
   * Sees the object before its bytes are opened; may throw, and gives the bytes to read (inclusive),
   * or undefined for all of them.
   */
  select?: (object: StoredObject) => { start: number; end: number } | undefined
}

/** Opens an object for reading. The bytes stay those of this object if it is replaced meanwhile. */
export async function readObject(
  store: ObjectStore,
  { bucket, key, select }: ReadObject,
): Promise<{ object: StoredObject; body: Readable }> {
  for (let tries = 0; ; tries++) {
    const { blobs, ...object } = locateObject(store, bucket, key)
    const { start, end } = select?.(object) ?? { start: 0, end: object.sizeBytes - 1 }
    const pieces = piecesOf(blobs, start, end)
    const opened = await openPieces(store, pieces).catch((error: unknown) => {
      // Replaced between the look into the index and here: look again.
      if (isMissing(error) && tries < 8) return undefined
      throw error
    })
    if (opened) return { object, body: opened }
  }
}

/** Reads a whole small object, such as a configuration; refuses one over `sizeMaxBytes`. */
export async function readObjectBytes(
  store: ObjectStore,
  { bucket, key, sizeMaxBytes }: { bucket: string; key: string; sizeMaxBytes: number },
): Promise<Buffer> {
  const { body } = await readObject(store, {
    bucket,
    key,
    select: ({ sizeBytes }) => {
      if (sizeBytes > sizeMaxBytes) {
        throw new S3Error('EntityTooLarge', {
          message: `s3://${bucket}/${key} has ${sizeBytes} bytes, more than ${sizeMaxBytes}.`,
        })
      }
      return undefined
    },
  })
  return Buffer.concat(await body.toArray())
}

/** Copies an object without copying its bytes. `NoSuchKey` when the source is not there. */
export async function copyObject(
  store: ObjectStore,
  from: ReadObject,
  to: Pick<PutObject, 'bucket' | 'key' | 'properties' | 'tags' | 'condition'>,
): Promise<StoredObject> {
  getBucket(store, to.bucket)
  keyBytes(to.key)
  for (let tries = 0; ; tries++) {
    const source = locateObject(store, from.bucket, from.key)
    from.select?.(source)
    const blobs = await linkAll(store, source.blobs).catch((error: unknown) => {
      if (isMissing(error) && tries < 8) return undefined
      throw error
    })
    if (!blobs) continue
    const { bucket, key, properties, tags } = to
    const { modifiedMs: _, ...kept } = source
    const entry = { ...kept, ...properties, bucket, key, tags: tags ?? source.tags, blobs }
    return await replaceObject(store, entry, to.condition)
  }
}

async function linkAll(store: ObjectStore, blobs: Blob[]): Promise<Blob[]> {
  const linked: Blob[] = []
  try {
    for (const blob of blobs) linked.push(await linkBlob(store.blobs, blob))
    return linked
  } catch (error) {
    await removeBlobs(
      store.blobs,
      linked.map(({ id }) => id),
    )
    throw error
  }
}

/** Deletes objects; keys that are not there are no error. The condition sees each one first. */
export async function deleteObjects(
  store: ObjectStore,
  { bucket, keys, condition }: { bucket: string; keys: string[]; condition?: WriteCondition },
): Promise<void> {
  const unnamed = store.write(() => {
    getBucket(store, bucket)
    return keys.flatMap((key) => {
      condition?.(findObject(store, bucket, key))
      return removeEntry(store, bucket, key)
    })
  })
  await removeBlobs(store.blobs, unnamed)
}

interface Piece {
  id: string
  start: number
  end: number
}

/** The parts of blobs that make up bytes `start` to `end` of the whole. */
function piecesOf(blobs: Blob[], start: number, end: number): Piece[] {
  let offset = 0
  return blobs.flatMap(({ id, sizeBytes }) => {
    const from = Math.max(start - offset, 0)
    const to = Math.min(end - offset, sizeBytes - 1)
    offset += sizeBytes
    return from <= to ? [{ id, start: from, end: to }] : []
  })
}

async function openPieces(store: ObjectStore, pieces: Piece[]): Promise<Readable> {
  const handles: FileHandle[] = []
  const closeAll = async () => {
    await Promise.all(handles.splice(0).map((handle) => handle.close()))
  }
  try {
    for (const { id } of pieces.slice(0, OPEN_BLOBS_MAX)) {
      handles.push(await openBlob(store.blobs, id))
    }
  } catch (error) {
    await closeAll()
    throw error
  }
  const body = Readable.from(read(), { objectMode: false })
  // Also when nobody ever reads it, in which case the generator below does not even begin.
  body.once('close', () => void closeAll())
  return body

  async function* read() {
    for (const [index, { id, start, end }] of pieces.entries()) {
      const handle = handles[index] ?? (await openBlob(store.blobs, id))
      handles[index] = handle
      yield* readBlob(handle, start, end)
    }
  }
}
