import { removeBlobs } from './blob-files.ts'
import type { ObjectStore } from './object-store.ts'
import { S3Error } from './s3-error.ts'

export interface Bucket {
  name: string
  region: string
  createdMs: number
}

/**
 * Creates a bucket. `BucketAlreadyOwnedByYou` when it exists, except in us-east-1, where S3 answers
 * 200 for a bucket of one's own; `InvalidBucketName` by S3's rules for names.
 */
export function createBucket(store: ObjectStore, name: string, region = 'us-east-1'): void {
  checkBucketName(name)
  store.write(() => {
    const existing = findBucket(store, name)
    if (existing && (region !== 'us-east-1' || existing.region !== region)) {
      throw new S3Error('BucketAlreadyOwnedByYou', { details: { BucketName: name } })
    }
    if (existing) return
    store
      .sql('INSERT INTO buckets (name, region, created_ms) VALUES (?, ?, ?)')
      .run(name, region, Date.now())
  })
}

/** Deletes an empty bucket with its settings and unfinished uploads; `BucketNotEmpty` otherwise. */
export async function deleteBucket(store: ObjectStore, name: string): Promise<void> {
  const blobs = store.write(() => {
    getBucket(store, name)
    if (store.sql('SELECT 1 FROM objects WHERE bucket = ? LIMIT 1').get(name)) {
      throw new S3Error('BucketNotEmpty', { details: { BucketName: name } })
    }
    const uploads = 'upload IN (SELECT id FROM uploads WHERE bucket = ?)'
    const parts = store.sql(`DELETE FROM parts WHERE ${uploads} RETURNING blob`).all(name)
    store.sql('DELETE FROM uploads WHERE bucket = ?').run(name)
    store.sql('DELETE FROM bucket_settings WHERE bucket = ?').run(name)
    store.sql('DELETE FROM buckets WHERE name = ?').run(name)
    return parts.map(({ blob }) => String(blob))
  })
  await removeBlobs(store.blobs, blobs)
}

/** The bucket; `NoSuchBucket` when there is none. */
export function getBucket(store: ObjectStore, name: string): Bucket {
  const bucket = findBucket(store, name)
  if (!bucket) throw new S3Error('NoSuchBucket', { details: { BucketName: name } })
  return bucket
}

/** The bucket, or undefined. */
export function findBucket(store: ObjectStore, name: string): Bucket | undefined {
  const row = store.sql('SELECT name, region, created_ms FROM buckets WHERE name = ?').get(name)
  return row && bucketOf(row)
}

/** All buckets in the order of their names. */
export function listBuckets(store: ObjectStore): Bucket[] {
  return store.sql('SELECT name, region, created_ms FROM buckets ORDER BY name').all().map(bucketOf)
}

/** What a client set for a bucket, as it was sent; undefined if nothing. */
export function findBucketSetting(
  store: ObjectStore,
  bucket: string,
  kind: string,
): string | undefined {
  getBucket(store, bucket)
  const row = store
    .sql('SELECT body FROM bucket_settings WHERE bucket = ? AND kind = ?')
    .get(bucket, kind)
  return row && String(row['body'])
}

/** Keeps a setting of a bucket; undefined removes it. */
export function setBucketSetting(
  store: ObjectStore,
  { bucket, kind, body }: { bucket: string; kind: string; body: string | undefined },
): void {
  store.write(() => {
    getBucket(store, bucket)
    if (body === undefined) {
      store.sql('DELETE FROM bucket_settings WHERE bucket = ? AND kind = ?').run(bucket, kind)
    } else {
      store
        .sql(
          `INSERT INTO bucket_settings (bucket, kind, body) VALUES (?, ?, ?)
           ON CONFLICT (bucket, kind) DO UPDATE SET body = excluded.body`,
        )
        .run(bucket, kind, body)
    }
  })
}

/** Refuses what is no bucket name by S3's rules: 3 to 63 of a-z, 0-9, dot and hyphen. */
function checkBucketName(name: string): void {
  const isName = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name)
  const isAddress = /^\d+\.\d+\.\d+\.\d+$/.test(name)
  if (!isName || isAddress || name.includes('..')) {
    throw new S3Error('InvalidBucketName', { details: { BucketName: name } })
  }
}

function bucketOf(row: Record<string, unknown>): Bucket {
  return {
    name: String(row['name']),
    region: String(row['region']),
    createdMs: Number(row['created_ms']),
  }
}
