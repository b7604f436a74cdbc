import { getBucket } from './bucket-store.ts'
import { keyText, type ObjectStore } from './object-store.ts'

const BATCH_MIN = 2
const BATCH_MAX = 1001

/** One line of a listing. */
export interface ListedObject {
  key: string
  sizeBytes: number
  etag: string
  modifiedMs: number
  /** Of the checksum that is kept with it, as S3 lists them. */
  checksumAlgorithm?: string
  checksumType?: string
  /** Undefined for STANDARD. */
  storageClass?: string
}

export interface ListObjects {
  bucket: string
  prefix?: string
  /** Keys that have it behind the prefix are rolled up into one common prefix. */
  delimiter?: string
  /** Only what comes after this key, in the order of UTF-8 bytes. */
  after?: string
  limit: number
}

export interface ObjectPage {
  objects: ListedObject[]
  commonPrefixes: string[]
  isTruncated: boolean
  /** The last key or common prefix of the page: `after` of the next one. */
  last?: string
}

/**
 * A page of the keys of a bucket in the order of their UTF-8 bytes. The cost follows the page, not
 * the bucket: a common prefix is skipped by one look into the index, whatever is below it.
 */
export function listObjects(store: ObjectStore, options: ListObjects): ObjectPage {
  getBucket(store, options.bucket)
  const page: ObjectPage = { objects: [], commonPrefixes: [], isTruncated: false }
  if (options.limit <= 0) return page
  for (const entry of entries(store, options)) {
    if (page.objects.length + page.commonPrefixes.length === options.limit) {
      page.isTruncated = true
      return page
    }
    if (typeof entry === 'string') page.commonPrefixes.push(entry)
    else page.objects.push(entry)
    page.last = typeof entry === 'string' ? entry : entry.key
  }
  return page
}

/** Every key with a prefix, for the runner of jobs; reads the index page by page. */
export function* eachObject(
  store: ObjectStore,
  bucket: string,
  prefix: string,
): Generator<ListedObject> {
  for (let after: string | undefined; ; ) {
    const page = listObjects(store, {
      bucket,
      prefix,
      limit: 1000,
      ...(after !== undefined && { after }),
    })
    yield* page.objects
    if (!page.isTruncated || page.last === undefined) return
    after = page.last
  }
}

function* entries(
  store: ObjectStore,
  { bucket, prefix = '', delimiter = '', after = '', limit }: ListObjects,
): Generator<ListedObject | string> {
  const prefixBytes = Buffer.from(prefix)
  const end = followerOf(prefixBytes)
  let from = firstAfter(prefixBytes, Buffer.from(after), delimiter)
  // Rows are read in batches, not through an iterator, so that no read transaction stays open and a
  // common prefix can restart the search behind itself; where prefixes are many, batches are small.
  let batch = delimiter === '' ? Math.min(limit + 1, BATCH_MAX) : BATCH_MIN
  for (;;) {
    const rows = readRows(store, { bucket, from, end, limit: batch })
    if (rows.length === 0) return
    let next: Buffer | undefined
    batch = Math.min(batch * 4, BATCH_MAX)
    for (const row of rows) {
      const key = row['key'] as Uint8Array
      const rolled = commonPrefixOf(keyText(key), prefix, delimiter)
      if (rolled !== undefined) {
        yield rolled
        next = followerOf(Buffer.from(rolled))
        batch = BATCH_MIN
        break
      }
      yield listedOf(row)
      next = Buffer.concat([key, Buffer.of(0)])
    }
    if (!next) return
    from = next
  }
}

/** Where to start: at the prefix, behind a key, or behind everything below a common prefix. */
function firstAfter(prefix: Buffer, after: Buffer, delimiter: string): Buffer {
  if (after.length === 0 || after.compare(prefix) < 0) return prefix
  const rolled = commonPrefixOf(after.toString(), prefix.toString(), delimiter)
  if (rolled === after.toString()) return followerOf(after) ?? after
  return Buffer.concat([after, Buffer.of(0)])
}

function readRows(
  store: ObjectStore,
  {
    bucket,
    from,
    end,
    limit,
  }: { bucket: string; from: Buffer; end: Buffer | undefined; limit: number },
): Record<string, unknown>[] {
  const columns = 'key, etag, size_bytes, modified_ms, properties'
  const upTo = end ? 'AND key < ?' : ''
  return store
    .sql(
      `SELECT ${columns} FROM objects WHERE bucket = ? AND key >= ? ${upTo} ORDER BY key LIMIT ?`,
    )
    .all(bucket, from, ...(end ? [end] : []), limit)
}

function commonPrefixOf(key: string, prefix: string, delimiter: string): string | undefined {
  if (delimiter === '' || !key.startsWith(prefix)) return undefined
  const at = key.indexOf(delimiter, prefix.length)
  return at === -1 ? undefined : key.slice(0, at + delimiter.length)
}

/** The first bytes behind everything that starts with these; undefined when nothing is. */
function followerOf(bytes: Buffer): Buffer | undefined {
  for (let length = bytes.length; length > 0; length--) {
    const last = bytes[length - 1] ?? 0
    if (last === 0xff) continue
    return Buffer.concat([bytes.subarray(0, length - 1), Buffer.of(last + 1)])
  }
  return undefined
}

function listedOf(row: Record<string, unknown>): ListedObject {
  const { checksum, headers } = JSON.parse(String(row['properties'])) as {
    checksum?: { algorithm: string; type: string }
    headers?: Record<string, string>
  }
  const storageClass = headers?.['x-amz-storage-class']
  return {
    key: keyText(row['key'] as Uint8Array),
    sizeBytes: Number(row['size_bytes']),
    etag: String(row['etag']),
    modifiedMs: Number(row['modified_ms']),
    ...(checksum && { checksumAlgorithm: checksum.algorithm, checksumType: checksum.type }),
    ...(storageClass !== undefined && { storageClass }),
  }
}
