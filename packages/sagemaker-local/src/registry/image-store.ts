import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, mkdirSync, renameSync, unlinkSync } from 'node:fs'
import { type FileHandle, open, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { openSqliteIndex, type SqliteIndex } from '../s3/sqlite-index.ts'
import { RegistryError } from './registry-error.ts'

/**
 * Images on local disk: blobs as files named by their digests, each kept once for all repositories,
 * and an index of who has what. Files appear and go inside the index's transactions, so that two
 * processes cannot undo each other's work.
 */
export interface ImageStore extends SqliteIndex {
  readonly directory: string
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS repositories (
    name TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, is_immutable INTEGER NOT NULL
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE IF NOT EXISTS blobs (
    repository TEXT NOT NULL, digest TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    pushed_ms INTEGER NOT NULL, PRIMARY KEY (repository, digest)
  ) WITHOUT ROWID, STRICT;
  CREATE INDEX IF NOT EXISTS blobs_by_digest ON blobs (digest);
  CREATE TABLE IF NOT EXISTS manifests (
    repository TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL, body BLOB NOT NULL,
    image_bytes INTEGER NOT NULL, subject TEXT, pushed_ms INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE IF NOT EXISTS manifest_references (
    repository TEXT NOT NULL, manifest TEXT NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (repository, manifest, digest)
  ) WITHOUT ROWID, STRICT;
  CREATE INDEX IF NOT EXISTS manifests_by_reference ON manifest_references (repository, digest);
  CREATE TABLE IF NOT EXISTS tags (
    repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (repository, tag)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, repository TEXT NOT NULL, started_ms INTEGER NOT NULL
  ) WITHOUT ROWID, STRICT;
`

const DIGEST = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/
const UPLOAD_ID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/
const STALE_AFTER_MS = 24 * 3600 * 1000

/** Opens the store in a directory, creating it when missing. */
export function openImageStore(directory: string): ImageStore {
  mkdirSync(join(directory, 'uploads'), { recursive: true, mode: 0o700 })
  mkdirSync(join(directory, 'blobs'), { recursive: true, mode: 0o700 })
  return { ...openSqliteIndex(join(directory, 'registry.db'), SCHEMA), directory }
}

/** The file of a blob, for whoever unpacks an image; the digest is checked before it is a path. */
export function blobFile({ directory }: ImageStore, digest: string): string {
  checkDigest(digest)
  const [algorithm = '', hex = ''] = digest.split(':')
  return join(directory, 'blobs', algorithm, hex.slice(0, 2), hex)
}

/** Refuses what is no SHA-256 or SHA-512 digest. */
export function checkDigest(digest: string): void {
  if (DIGEST.test(digest)) return
  throw new RegistryError('DIGEST_INVALID', `'${digest.slice(0, 200)}' is not a digest.`)
}

/** Size of a blob of a repository; `BLOB_UNKNOWN` when it is not there. */
export function getBlob(store: ImageStore, repository: string, digest: string): number {
  checkDigest(digest)
  const row = store
    .sql('SELECT size_bytes FROM blobs WHERE repository = ? AND digest = ?')
    .get(repository, digest)
  if (!row) {
    throw new RegistryError('BLOB_UNKNOWN', `The repository '${repository}' has no blob ${digest}.`)
  }
  return Number(row['size_bytes'])
}

/** Gives a repository a blob that another one has; false when that has it not. */
export function mountBlob(
  store: ImageStore,
  { from, to, digest }: { from: string; to: string; digest: string },
): boolean {
  checkDigest(digest)
  return store.write(() => {
    const row = store
      .sql('SELECT size_bytes FROM blobs WHERE repository = ? AND digest = ?')
      .get(from, digest)
    if (row) insertBlob(store, { repository: to, digest, sizeBytes: Number(row['size_bytes']) })
    return row !== undefined
  })
}

/** Takes a blob from a repository, and its file when no repository has it any more. */
export function deleteBlob(store: ImageStore, repository: string, digest: string): void {
  store.write(() => {
    getBlob(store, repository, digest)
    removeBlobLink(store, repository, digest)
  })
}

/** Inside `store.write`. */
export function removeBlobLink(store: ImageStore, repository: string, digest: string): void {
  store.sql('DELETE FROM blobs WHERE repository = ? AND digest = ?').run(repository, digest)
  if (store.sql('SELECT 1 FROM blobs WHERE digest = ? LIMIT 1').get(digest)) return
  try {
    unlinkSync(blobFile(store, digest))
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
}

/** Starts an upload to a repository and gives its id. */
export function createBlobUpload(store: ImageStore, repository: string): string {
  const id = randomUUID()
  store.write(() => {
    store.sql('INSERT INTO uploads VALUES (?, ?, ?)').run(id, repository, Date.now())
  })
  return id
}

/** How many bytes an upload has; `BLOB_UPLOAD_UNKNOWN` when there is none of this id. */
export async function uploadedBytes(
  store: ImageStore,
  repository: string,
  id: string,
): Promise<number> {
  checkUpload(store, repository, id)
  const stats = await stat(uploadFile(store, id)).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  })
  return stats?.size ?? 0
}

/** Writes bytes behind those that an upload has; gives how many it has then. */
export async function appendToUpload(
  store: ImageStore,
  { repository, id }: { repository: string; id: string },
  body: AsyncIterable<Uint8Array>,
): Promise<number> {
  checkUpload(store, repository, id)
  await using file = await open(uploadFile(store, id), 'a', 0o600)
  const { size: before } = await file.stat()
  let size = before
  try {
    for await (const chunk of body) {
      await writeAll(file, chunk)
      size += chunk.length
    }
    return size
  } catch (error) {
    // A chunk counts as a whole or not at all, so that the client can send it again.
    await file.truncate(before)
    if (!hasCode(error, 'ENOSPC', 'EDQUOT')) throw error
    throw new RegistryError('UNAVAILABLE', 'The disk of the registry is full.')
  }
}

/** Ends an upload: the bytes become a blob of the repository if they have this digest. */
export async function finishUpload(
  store: ImageStore,
  { repository, id }: { repository: string; id: string },
  digest: string,
): Promise<void> {
  checkDigest(digest)
  checkUpload(store, repository, id)
  const file = uploadFile(store, id)
  await using handle = await open(file, 'a', 0o600)
  await handle.sync()
  const hash = createHash(digest.startsWith('sha256:') ? 'sha256' : 'sha512')
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
    hash.update(chunk as Buffer)
  }
  const computed = `${digest.split(':')[0]}:${hash.digest('hex')}`
  if (computed !== digest) {
    await abortUpload(store, repository, id)
    throw new RegistryError(
      'DIGEST_INVALID',
      `The uploaded bytes have the digest ${computed}, not ${digest}.`,
    )
  }
  const { size: sizeBytes } = await handle.stat()
  const target = blobFile(store, digest)
  mkdirSync(dirname(target), { recursive: true, mode: 0o700 })
  store.write(() => {
    checkUpload(store, repository, id)
    renameSync(file, target)
    insertBlob(store, { repository, digest, sizeBytes })
    store.sql('DELETE FROM uploads WHERE id = ?').run(id)
  })
  await syncDirectory(dirname(target))
  await syncDirectory(dirname(dirname(target)))
}

/** Ends an upload and forgets its bytes. */
export async function abortUpload(
  store: ImageStore,
  repository: string,
  id: string,
): Promise<void> {
  checkUpload(store, repository, id)
  store.write(() => store.sql('DELETE FROM uploads WHERE id = ?').run(id))
  await unlink(uploadFile(store, id)).catch((error: unknown) => {
    if (!hasCode(error, 'ENOENT')) throw error
  })
}

/** Removes uploads and blobs that a day has passed over without anything naming them. */
export async function removeUnusedBlobs(store: ImageStore, nowMs = Date.now()): Promise<number> {
  const before = nowMs - STALE_AFTER_MS
  for (const { id, repository } of store
    .sql('SELECT id, repository FROM uploads WHERE started_ms < ?')
    .all(before)) {
    await abortUpload(store, String(repository), String(id))
  }
  return store.write(() => {
    const unused = store
      .sql(
        `SELECT repository, digest FROM blobs WHERE pushed_ms < ? AND NOT EXISTS (
           SELECT 1 FROM manifest_references AS r
           WHERE r.repository = blobs.repository AND r.digest = blobs.digest)`,
      )
      .all(before)
    for (const row of unused)
      removeBlobLink(store, String(row['repository']), String(row['digest']))
    return unused.length
  })
}

function insertBlob(
  store: ImageStore,
  { repository, digest, sizeBytes }: { repository: string; digest: string; sizeBytes: number },
): void {
  store
    .sql(
      `INSERT INTO blobs VALUES (?, ?, ?, ?)
       ON CONFLICT (repository, digest) DO UPDATE SET pushed_ms = excluded.pushed_ms`,
    )
    .run(repository, digest, sizeBytes, Date.now())
}

function checkUpload(store: ImageStore, repository: string, id: string): void {
  const isKnown =
    UPLOAD_ID.test(id) &&
    store.sql('SELECT 1 FROM uploads WHERE id = ? AND repository = ?').get(id, repository)
  if (!isKnown) {
    throw new RegistryError('BLOB_UPLOAD_UNKNOWN', `There is no upload '${id.slice(0, 100)}'.`)
  }
}

function uploadFile({ directory }: ImageStore, id: string): string {
  return join(directory, 'uploads', id)
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r')
  await directory.sync()
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.length; ) {
    offset += (await file.write(chunk, offset)).bytesWritten
  }
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}
