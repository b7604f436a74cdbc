import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { parseArtifactPath } from './artifact-path.ts'
import { type ArtifactStore, openStore, type StoreOptions } from './artifact-store.ts'
import { findHttpRoot } from './http-root.ts'
import type { ArtifactLocation } from './location.ts'
import { checkS3Store } from './s3-check.ts'

export interface CheckOptions extends StoreOptions {
  /** What this program will do there; `read` where only clients write. */
  access: 'read' | 'write'
}

/**
 * Tries everything that a store will be asked for, with a small object of its own that it removes.
 * A local directory needs no trial: it is made when it is first written to.
 *
 * @throws ApiError whose message says in one sentence what to repair: the missing permissions all
 * at once, or the bucket, region or credentials
 */
export async function checkStore(
  location: ArtifactLocation,
  { access, ...options }: CheckOptions,
): Promise<void> {
  if (location.scheme === 's3') await checkS3Store(location, access, options.s3)
  else if (location.scheme === 'other' && OBJECT_STORES.includes(location.name)) {
    await tryStore(openStore(location, options), access)
  } else if (access === 'write' && findHttpRoot(location, undefined)) {
    await tryStore(openStore(location, options), access)
  }
}

/** Schemes of stores that only a trial tells of. */
const OBJECT_STORES = ['wasbs', 'gs']

async function tryStore(store: ArtifactStore, access: 'read' | 'write'): Promise<void> {
  const path = parseArtifactPath(`.millrace-check-${randomUUID()}`)
  await store.list(path)
  if (access === 'read') return
  await store.write(path, Readable.from([Buffer.from('check')]))
  const { body } = await store.open(path)
  await buffer(body)
  await store.delete(path)
}
