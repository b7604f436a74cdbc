import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { SQLInputValue } from 'node:sqlite'
import { createBlobFolders, listOldBlobs, removeBlobs } from './blob-files.ts'
import { S3Error } from './s3-error.ts'
import { openSqliteIndex, type SqliteIndex } from './sqlite-index.ts'

/**
 * Buckets and objects on local disk: an index in SQLite and immutable blobs beside it. A write is a
 * blob written and synced, then one durable transaction that names it; so a reader, also in another
 * process, sees the old object or the new one. Keys are bytes in the index and never part of a path.
 *
 * The functions of this folder take the store first: `putObject(store, …)`, `readObject(store, …)`.
 */
export interface ObjectStore extends SqliteIndex {
  /** The directory given to `openObjectStore`. */
  readonly directory: string
  /** The folder of the blobs. */
  readonly blobs: string
}

const ORPHAN_AFTER_MS = 24 * 3600 * 1000

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY, region TEXT NOT NULL, created_ms INTEGER NOT NULL
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE IF NOT EXISTS bucket_settings (
    bucket TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (bucket, kind)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, key BLOB NOT NULL, etag TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL, blobs TEXT NOT NULL, properties TEXT NOT NULL, tags TEXT NOT NULL,
    PRIMARY KEY (bucket, key)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key BLOB NOT NULL, started_ms INTEGER NOT NULL,
    properties TEXT NOT NULL, tags TEXT NOT NULL, checksum TEXT
  ) WITHOUT ROWID, STRICT;
  CREATE INDEX IF NOT EXISTS uploads_by_key ON uploads (bucket, key, id);
  CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL, number INTEGER NOT NULL, etag TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL, blob TEXT NOT NULL, checksums TEXT NOT NULL,
    PRIMARY KEY (upload, number)
  ) WITHOUT ROWID, STRICT;
`

/** Opens the store in a directory, creating it when missing. Several processes may have it open. */
export function openObjectStore(directory: string): ObjectStore {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const index = openSqliteIndex(join(directory, 'index.db'), SCHEMA)
  const blobs = join(directory, 'blobs')
  createBlobFolders(blobs)
  return { ...index, directory, blobs }
}

/** Removes blobs that a crash left without an entry, once they are a day old. Gives their number. */
export async function removeOrphans(store: ObjectStore, nowMs = Date.now()): Promise<number> {
  const old = await listOldBlobs(store.blobs, nowMs - ORPHAN_AFTER_MS)
  const named = new Set<string>()
  // In this order: another process may complete an upload meanwhile, which makes parts an object.
  for (const { blob } of store.sql('SELECT blob FROM parts').iterate()) named.add(String(blob))
  for (const { blobs } of store.sql('SELECT blobs FROM objects').iterate()) {
    for (const { id } of JSON.parse(String(blobs)) as { id: string }[]) named.add(id)
  }
  const orphans = old.filter((id) => !named.has(id))
  await removeBlobs(store.blobs, orphans)
  return orphans.length
}

/** The key as the index holds it. Refuses an empty one and one of more than 1024 bytes. */
export function keyBytes(key: string): Buffer {
  const bytes = Buffer.from(key)
  if (bytes.length > 1024) {
    throw new S3Error('KeyTooLongError', {
      details: { Size: String(bytes.length), MaxSizeAllowed: '1024' },
    })
  }
  if (bytes.length === 0) throw new S3Error('InvalidArgument', { message: 'A key is empty.' })
  return bytes
}

/** The key that the index holds as bytes. */
export function keyText(bytes: SQLInputValue | undefined): string {
  return Buffer.from(bytes as Uint8Array).toString('utf8')
}
