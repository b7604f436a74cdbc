import type { Blob } from './blob-files.ts'
import { getBucket } from './bucket-store.ts'
import type { Checksum } from './checksums.ts'
import { keyBytes, keyText, type ObjectStore } from './object-store.ts'
import { S3Error } from './s3-error.ts'

/** What a client says about an object when it writes it. */
export interface ObjectProperties {
  contentType: string
  /** The other headers that S3 gives back, by lower-case name: `cache-control`, `expires`, … */
  headers: Record<string, string>
  /** User metadata, without `x-amz-meta-`. */
  metadata: Record<string, string>
}

/** An object without its bytes. */
export interface StoredObject extends ObjectProperties {
  bucket: string
  key: string
  sizeBytes: number
  /** Without quotes: the MD5 in hex, with `-<parts>` for a multipart object. */
  etag: string
  modifiedMs: number
  tags: Record<string, string>
  checksum?: Checksum
  /** Of a multipart object, by part. */
  partSizes?: number[]
}

/** What to write into the index. */
export interface ObjectEntry extends Omit<StoredObject, 'modifiedMs'> {
  blobs: Blob[]
}

/** The object with the blobs that hold its bytes. */
export interface LocatedObject extends StoredObject {
  blobs: Blob[]
}

export const NO_PROPERTIES: ObjectProperties = {
  contentType: 'binary/octet-stream',
  headers: {},
  metadata: {},
}

/** The object; `NoSuchBucket` or `NoSuchKey` when there is none. */
export function headObject(store: ObjectStore, bucket: string, key: string): StoredObject {
  const { blobs: _, ...object } = locateObject(store, bucket, key)
  return object
}

/** The object, or undefined when the key is not there; `NoSuchBucket` when the bucket is not. */
export function findObject(
  store: ObjectStore,
  bucket: string,
  key: string,
): LocatedObject | undefined {
  const row = store
    .sql('SELECT * FROM objects WHERE bucket = ? AND key = ?')
    .get(bucket, keyBytes(key))
  if (!row) getBucket(store, bucket)
  return row && objectOf(row)
}

/** The object with its blobs; `NoSuchBucket` or `NoSuchKey` when there is none. */
export function locateObject(store: ObjectStore, bucket: string, key: string): LocatedObject {
  const object = findObject(store, bucket, key)
  if (!object) throw new S3Error('NoSuchKey', { details: { Key: key } })
  return object
}

/**
 * Writes an object into the index in place of the one before it, and gives the ids of the blobs
 * that nothing names any more. To be called inside `store.write`.
 */
export function replaceEntry(store: ObjectStore, entry: ObjectEntry, modifiedMs: number): string[] {
  const { bucket, key, sizeBytes, etag, tags, blobs, ...properties } = entry
  getBucket(store, bucket)
  const replaced = removeEntry(store, bucket, key)
  store
    .sql(
      `INSERT INTO objects (bucket, key, etag, size_bytes, modified_ms, blobs, properties, tags)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      bucket,
      keyBytes(key),
      etag,
      sizeBytes,
      modifiedMs,
      JSON.stringify(blobs),
      JSON.stringify(properties),
      JSON.stringify(tags),
    )
  return replaced
}

/** Takes an object out of the index; gives the ids of its blobs. Inside `store.write`. */
export function removeEntry(store: ObjectStore, bucket: string, key: string): string[] {
  const removed = store
    .sql('DELETE FROM objects WHERE bucket = ? AND key = ? RETURNING blobs')
    .get(bucket, keyBytes(key))
  return removed ? (JSON.parse(String(removed['blobs'])) as Blob[]).map(({ id }) => id) : []
}

/** Puts other tags on an object. */
export function setObjectTags(
  store: ObjectStore,
  { bucket, key, tags }: { bucket: string; key: string; tags: Record<string, string> },
): void {
  store.write(() => {
    locateObject(store, bucket, key)
    store
      .sql('UPDATE objects SET tags = ? WHERE bucket = ? AND key = ?')
      .run(JSON.stringify(tags), bucket, keyBytes(key))
  })
}

function objectOf(row: Record<string, unknown>): LocatedObject {
  const properties = JSON.parse(String(row['properties'])) as ObjectProperties &
    Pick<StoredObject, 'checksum' | 'partSizes'>
  return {
    bucket: String(row['bucket']),
    key: keyText(row['key'] as Uint8Array),
    sizeBytes: Number(row['size_bytes']),
    etag: String(row['etag']),
    modifiedMs: Number(row['modified_ms']),
    blobs: JSON.parse(String(row['blobs'])) as Blob[],
    tags: JSON.parse(String(row['tags'])) as Record<string, string>,
    ...properties,
  }
}
