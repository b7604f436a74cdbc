import { createHash, randomBytes } from 'node:crypto'
import { type Blob, removeBlobs } from './blob-files.ts'
import { getBucket } from './bucket-store.ts'
import {
  type Checksum,
  type ChecksumAlgorithm,
  type ChecksumType,
  checksumOfParts,
} from './checksums.ts'
import {
  findObject,
  NO_PROPERTIES,
  type ObjectProperties,
  type StoredObject,
} from './object-entry.ts'
import { keyBytes, keyText, type ObjectStore } from './object-store.ts'
import {
  type ExpectedBody,
  receiveBody,
  replaceObject,
  UPLOAD_MAX_BYTES,
  type WriteCondition,
} from './objects.ts'
import { invalidArgument, S3Error } from './s3-error.ts'

const PART_NUMBER_MAX = 10_000
const PART_MIN_BYTES = 5 * 1024 ** 2

/** Names an upload that is under way. */
export interface UploadRef {
  bucket: string
  key: string
  uploadId: string
}

export interface Upload extends UploadRef {
  startedMs: number
  properties: ObjectProperties
  tags: Record<string, string>
  /** What the parts and the whole are to carry; undefined when the client asked for none. */
  checksum?: { algorithm: ChecksumAlgorithm; type: ChecksumType }
}

export interface UploadedPart {
  number: number
  etag: string
  sizeBytes: number
  modifiedMs: number
  blob: string
  checksums: Partial<Record<ChecksumAlgorithm, string>>
}

/** A part as the client names it to complete an upload. */
export interface NamedPart {
  number: number
  etag: string
  checksums: Partial<Record<ChecksumAlgorithm, string>>
}

/** Starts a multipart upload and gives its id. */
export function createUpload(
  store: ObjectStore,
  upload: Pick<Upload, 'bucket' | 'key' | 'checksum'> & {
    properties?: Partial<ObjectProperties>
    tags?: Record<string, string>
  },
): string {
  const uploadId = randomBytes(36).toString('base64url')
  const { bucket, key, properties, tags = {}, checksum } = upload
  store.write(() => {
    getBucket(store, bucket)
    store
      .sql(
        `INSERT INTO uploads (id, bucket, key, started_ms, properties, tags, checksum)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        uploadId,
        bucket,
        keyBytes(key),
        Date.now(),
        JSON.stringify({ ...NO_PROPERTIES, ...properties }),
        JSON.stringify(tags),
        checksum ? JSON.stringify(checksum) : null,
      )
  })
  return uploadId
}

/** The upload; `NoSuchUpload` when it does not exist or is for another key. */
export function getUpload(store: ObjectStore, { bucket, key, uploadId }: UploadRef): Upload {
  getBucket(store, bucket)
  const row = store
    .sql('SELECT * FROM uploads WHERE id = ? AND bucket = ? AND key = ?')
    .get(uploadId, bucket, keyBytes(key))
  if (!row) throw new S3Error('NoSuchUpload', { details: { UploadId: uploadId } })
  return uploadOf(row)
}

/** Writes one part; it takes the place of an earlier one of the same number. */
export async function putPart(
  store: ObjectStore,
  ref: UploadRef,
  part: { number: number; body: AsyncIterable<Uint8Array>; expected?: ExpectedBody },
): Promise<UploadedPart> {
  checkPartNumber(part.number)
  const { checksum: wanted } = getUpload(store, ref)
  const sentAlgorithm = part.expected?.checksum
  if (wanted && sentAlgorithm && sentAlgorithm.algorithm !== wanted.algorithm) {
    throw new S3Error('InvalidRequest', {
      message: `Checksum Type mismatch occurred, expected checksum Type: ${wanted.algorithm.toLowerCase()}, actual checksum Type: ${sentAlgorithm.algorithm.toLowerCase()}`,
    })
  }
  const expected = {
    ...part.expected,
    ...(wanted && { checksum: sentAlgorithm ?? { ...wanted, value: () => undefined } }),
  }
  const received = await receiveBody(store, part.body, { expected, sizeMaxBytes: UPLOAD_MAX_BYTES })
  const { blob, md5, checksum } = received
  const uploaded = {
    number: part.number,
    etag: md5.toString('hex'),
    sizeBytes: blob.sizeBytes,
    modifiedMs: Date.now(),
    blob: blob.id,
    checksums: checksum ? { [checksum.algorithm]: checksum.value } : {},
  }
  await replacePart(store, ref, uploaded)
  return uploaded
}

async function replacePart(store: ObjectStore, ref: UploadRef, part: UploadedPart): Promise<void> {
  let unnamed = [part.blob]
  try {
    unnamed = store.write(() => {
      // It may have been completed or aborted while the bytes came in.
      getUpload(store, ref)
      const replaced = store
        .sql('DELETE FROM parts WHERE upload = ? AND number = ? RETURNING blob')
        .all(ref.uploadId, part.number)
      const { number, etag, sizeBytes, modifiedMs, blob, checksums } = part
      store
        .sql('INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?)')
        .run(ref.uploadId, number, etag, sizeBytes, modifiedMs, blob, JSON.stringify(checksums))
      return replaced.map((row) => String(row['blob']))
    })
  } finally {
    await removeBlobs(store.blobs, unnamed)
  }
}

/**
 * Makes an object of the parts that are named; the others are removed. Repeating it after it has
 * been done gives the object again, for clients that did not see the first answer.
 */
export async function completeUpload(
  store: ObjectStore,
  ref: UploadRef,
  {
    parts: named,
    condition,
    checksum: said,
    sizeBytes: saidBytes,
  }: {
    parts: NamedPart[]
    condition?: WriteCondition
    checksum?: { algorithm: ChecksumAlgorithm; value: string }
    /** `x-amz-mp-object-size` */
    sizeBytes?: number
  },
): Promise<StoredObject> {
  const done = findObject(store, ref.bucket, ref.key)
  if (done?.headers[UPLOAD_ID] === ref.uploadId) return done
  const upload = getUpload(store, ref)
  const uploaded = new Map(listParts(store, ref).map((part) => [part.number, part]))
  const parts = named.map((part, index) => {
    if (index > 0 && part.number <= (named[index - 1]?.number ?? 0)) {
      throw new S3Error('InvalidPartOrder', { details: { UploadId: ref.uploadId } })
    }
    return matchingPart(ref, part, uploaded.get(part.number))
  })
  const small = parts.slice(0, -1).find(({ sizeBytes }) => sizeBytes < PART_MIN_BYTES)
  if (small) throw tooSmall(small)

  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0)
  if (saidBytes !== undefined && saidBytes !== sizeBytes) {
    throw new S3Error('InvalidRequest', {
      message: `The provided 'x-amz-mp-object-size' header value ${saidBytes} does not match what was computed: ${sizeBytes}`,
    })
  }
  const checksum = wholeChecksum(upload, parts)
  if (said && said.algorithm === checksum?.algorithm && said.value !== checksum.value) {
    throw new S3Error('BadDigest', {
      message: `The ${said.algorithm} you specified did not match the calculated checksum.`,
    })
  }
  const { properties } = upload
  const entry = {
    ...properties,
    headers: { ...properties.headers, [UPLOAD_ID]: ref.uploadId },
    bucket: ref.bucket,
    key: ref.key,
    tags: upload.tags,
    sizeBytes,
    etag: etagOfParts(parts),
    ...(checksum && { checksum }),
    partSizes: parts.map((part) => part.sizeBytes),
    blobs: parts.map((part) => ({ id: part.blob, sizeBytes: part.sizeBytes })),
  }
  return await finish(store, ref, { entry, condition })
}

/** Kept with a finished object, and never sent: it tells a repeated completion from a false one. */
export const UPLOAD_ID = 'upload-id'

async function finish(
  store: ObjectStore,
  ref: UploadRef,
  {
    entry,
    condition,
  }: {
    entry: Omit<StoredObject, 'modifiedMs'> & { blobs: Blob[] }
    condition: WriteCondition | undefined
  },
): Promise<StoredObject> {
  const used = new Set(entry.blobs.map(({ id }) => id))
  const unused: string[] = []
  // The parts stay when this is refused: the client may complete the upload in another way.
  const object = await replaceObject(
    store,
    entry,
    (existing) => {
      getUpload(store, ref)
      condition?.(existing)
      unused.push(...removeUploadRows(store, ref.uploadId).filter((blob) => !used.has(blob)))
    },
    { keepBlobs: true },
  )
  await removeBlobs(store.blobs, unused)
  return object
}

/** Removes an upload with its parts. */
export async function abortUpload(store: ObjectStore, ref: UploadRef): Promise<void> {
  const blobs = store.write(() => {
    getUpload(store, ref)
    return removeUploadRows(store, ref.uploadId)
  })
  await removeBlobs(store.blobs, blobs)
}

function removeUploadRows(store: ObjectStore, uploadId: string): string[] {
  const parts = store.sql('DELETE FROM parts WHERE upload = ? RETURNING blob').all(uploadId)
  store.sql('DELETE FROM uploads WHERE id = ?').run(uploadId)
  return parts.map(({ blob }) => String(blob))
}

/** The parts of an upload in the order of their numbers. */
export function listParts(
  store: ObjectStore,
  ref: UploadRef,
  { after = 0, limit = PART_NUMBER_MAX }: { after?: number; limit?: number } = {},
): UploadedPart[] {
  getUpload(store, ref)
  return store
    .sql('SELECT * FROM parts WHERE upload = ? AND number > ? ORDER BY number LIMIT ?')
    .all(ref.uploadId, after, limit)
    .map((row) => ({
      number: Number(row['number']),
      etag: String(row['etag']),
      sizeBytes: Number(row['size_bytes']),
      modifiedMs: Number(row['modified_ms']),
      blob: String(row['blob']),
      checksums: JSON.parse(String(row['checksums'])) as UploadedPart['checksums'],
    }))
}

/** The uploads under way in a bucket, by key and then by when they began. */
export function listUploads(store: ObjectStore, bucket: string, prefix = ''): Upload[] {
  getBucket(store, bucket)
  return store
    .sql('SELECT * FROM uploads WHERE bucket = ? ORDER BY key, started_ms, id')
    .all(bucket)
    .map(uploadOf)
    .filter(({ key }) => key.startsWith(prefix))
}

function checkPartNumber(number: number): void {
  if (!Number.isInteger(number) || number < 1 || number > PART_NUMBER_MAX) {
    throw invalidArgument(
      `Part number must be an integer between 1 and ${PART_NUMBER_MAX}, inclusive`,
      'partNumber',
      String(number),
    )
  }
}

function matchingPart(
  { uploadId }: UploadRef,
  named: NamedPart,
  part: UploadedPart | undefined,
): UploadedPart {
  const isSame =
    part?.etag === named.etag &&
    Object.entries(named.checksums).every(
      ([algorithm, value]) => (part.checksums[algorithm as ChecksumAlgorithm] ?? value) === value,
    )
  if (part && isSame) return part
  throw new S3Error('InvalidPart', {
    details: { UploadId: uploadId, PartNumber: String(named.number), ETag: named.etag },
  })
}

function tooSmall(part: UploadedPart): S3Error {
  return new S3Error('EntityTooSmall', {
    details: {
      ProposedSize: String(part.sizeBytes),
      MinSizeAllowed: String(PART_MIN_BYTES),
      PartNumber: String(part.number),
      ETag: part.etag,
    },
  })
}

function wholeChecksum({ checksum: wanted }: Upload, parts: UploadedPart[]): Checksum | undefined {
  if (!wanted) return undefined
  const values = parts.map(({ checksums, sizeBytes }) => ({
    value: checksums[wanted.algorithm] ?? '',
    sizeBytes,
  }))
  return checksumOfParts(wanted.algorithm, wanted.type, values)
}

/** MD5 of the parts' MD5s, and their number. */
function etagOfParts(parts: UploadedPart[]): string {
  const md5 = createHash('md5')
  for (const { etag } of parts) md5.update(Buffer.from(etag, 'hex'))
  return `${md5.digest('hex')}-${parts.length}`
}

function uploadOf(row: Record<string, unknown>): Upload {
  return {
    uploadId: String(row['id']),
    bucket: String(row['bucket']),
    key: keyText(row['key'] as Uint8Array),
    startedMs: Number(row['started_ms']),
    properties: JSON.parse(String(row['properties'])) as ObjectProperties,
    tags: JSON.parse(String(row['tags'])) as Record<string, string>,
    ...(row['checksum'] !== null && {
      checksum: JSON.parse(String(row['checksum'])) as NonNullable<Upload['checksum']>,
    }),
  }
}
