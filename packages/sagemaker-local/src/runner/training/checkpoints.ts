import { lstat, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { eachObject } from '../../s3/object-listing.ts'
import type { ObjectStore } from '../../s3/object-store.ts'
import { downloadPrefix, parseS3Uri, uploadFile } from '../../s3/object-transfer.ts'
import { deleteObjects } from '../../s3/objects.ts'

const LOOK_MS = 1_000

/** Copies the checkpoints that are in S3 to where a job looks for them. */
export async function restoreCheckpoints(
  store: ObjectStore,
  uri: string,
  folder: string,
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const { bucket, key } = parseS3Uri(uri)
  await downloadPrefix(store, { bucket, key: asFolder(key) }, folder)
}

/**
 * Brings S3 into line with the checkpoints of a job while it runs, what it deletes too, and once more
 * when it has ended. What others add in S3 meanwhile stays there. `findFolder` gives the folder, or
 * nothing when the job has none of its own any more.
 */
export async function mirrorCheckpoints(
  store: ObjectStore,
  uri: string,
  findFolder: () => Promise<string | undefined>,
  ended: AbortSignal,
): Promise<void> {
  const { bucket, key } = parseS3Uri(uri)
  const prefix = asFolder(key)
  const uploaded = new Map<string, string>()
  for (const { key } of eachObject(store, bucket, prefix)) {
    uploaded.set(key.slice(prefix.length), 'as it was restored')
  }
  for (;;) {
    const isLast = ended.aborted
    const folder = await findFolder()
    const found = folder === undefined ? new Map<string, string>() : await listVersions(folder)
    for (const [path, version] of found) {
      if (uploaded.get(path) === version) continue
      await uploadFile(store, join(folder ?? '', path), { bucket, key: `${prefix}${path}` })
      uploaded.set(path, version)
    }
    const gone = [...uploaded.keys()].filter((path) => !found.has(path))
    if (gone.length > 0) {
      await deleteObjects(store, { bucket, keys: gone.map((path) => `${prefix}${path}`) })
      for (const path of gone) uploaded.delete(path)
    }
    if (isLast) return
    await wait(LOOK_MS, undefined, { signal: ended, ref: false }).catch(() => undefined)
  }
}

function asFolder(key: string): string {
  return key === '' || key.endsWith('/') ? key : `${key}/`
}

/** Regular files below a folder, with what is another text after they have been written to. */
async function listVersions(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    // Removed between the two looks is the same as removed before them.
    const version = await lstat(path).catch(() => undefined)
    if (version) found.set(path.slice(folder.length + 1), `${version.mtimeMs} ${version.size}`)
  }
  return found
}
