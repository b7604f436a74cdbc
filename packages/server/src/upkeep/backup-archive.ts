import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ApiError } from '@millrace/api/errors'
import { type ArtifactPath, parseArtifactPath } from '@millrace/artifacts/artifact-path'
import { type ArtifactStore, openStore } from '@millrace/artifacts/artifact-store'
import { parseLocation } from '@millrace/artifacts/location'
import type { Settings } from '../config.ts'
import { type BackupOptions, backUp } from './backup.ts'
import { archiveSize, listFiles, packFiles, unpackFiles } from './tar-stream.ts'

/** What a backup's folder has in it; nothing else is unpacked. */
const IN_A_BACKUP =
  /^(?:snapshots\/[\w-]+\/\w+\.(?:json|jsonl\.zst)|objects\/[0-9a-f]{2}\/[0-9a-f]{64})$/

const IS_URI = /^[a-z][a-z0-9]+:\/\//i

/** Whether backups are kept there as one file: it ends in `.tar`, or is in a bucket. */
export function isArchive(place: string): boolean {
  return place.endsWith('.tar') || IS_URI.test(place)
}

/**
 * Backs up into one new file, a tar archive, on a disk or in a bucket, which is there whole or not
 * at all. What goes into it is gathered in a temporary folder first.
 *
 * @throws Error in a sentence when there is such a file already
 */
export async function backUpToArchive(
  place: string,
  options: Omit<BackupOptions, 'folder' | 'keep'>,
): Promise<void> {
  const { store, path } = locate(place, options.settings)
  if (await exists(store, path)) {
    throw new Error(`${place} is there already. Backups are never written over.`)
  }
  const isLocal = !IS_URI.test(place)
  // Beside the file there is more likely to be space, and a full disk is the one that is named.
  if (isLocal) await mkdir(dirname(resolve(place)), { recursive: true })
  const parent = isLocal ? dirname(resolve(place)) : tmpdir()
  const folder = await mkdtemp(join(parent, '.partial-backup-'))
  try {
    await backUp({ ...options, folder })
    const entries = await listFiles(folder)
    const { sizeBytes, sha256 } = await store.write(path, packFiles(folder, entries), {
      sizeBytes: archiveSize(entries),
    })
    options.print(`Written to ${place}: ${sizeBytes} byte(s), SHA-256 ${sha256}.`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * Unpacks such a file into a temporary folder for as long as `use` runs, which gets a folder of
 * backups with one in it.
 *
 * @throws Error in a sentence when it is no backup, or not whole
 */
export async function withArchive<Result>(
  place: string,
  settings: Settings,
  use: (folder: string) => Promise<Result>,
): Promise<Result> {
  const { store, path } = locate(place, settings)
  const folder = await mkdtemp(join(tmpdir(), 'millrace-backup-'))
  try {
    const { body } = await store.open(path)
    await unpackFiles(body as AsyncIterable<Buffer>, async ({ name }, bytes) => {
      if (!IN_A_BACKUP.test(name)) throw new Error(`'${name}' is in no backup.`)
      const target = join(folder, name)
      await mkdir(dirname(target), { recursive: true, mode: 0o700 })
      await pipeline(bytes, createWriteStream(target, { flags: 'wx', mode: 0o600 }))
    }).catch((error: unknown) => {
      body.destroy()
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`${place} cannot be restored. ${reason}`, { cause: error })
    })
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function locate(
  place: string,
  { s3, azure }: Settings,
): { store: ArtifactStore; path: ArtifactPath } {
  const whole = IS_URI.test(place) ? place : resolve(place)
  const at = whole.lastIndexOf('/')
  const store = openStore(parseLocation(whole.slice(0, at) || '/'), { s3, azure })
  return { store, path: parseArtifactPath(whole.slice(at + 1)) }
}

async function exists(store: ArtifactStore, path: ArtifactPath): Promise<boolean> {
  try {
    await store.stat(path)
    return true
  } catch (error) {
    if (error instanceof ApiError && error.code === 'RESOURCE_DOES_NOT_EXIST') return false
    throw error
  }
}
