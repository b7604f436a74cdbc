import type { StoreOptions } from './artifact-store.ts'
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
  { access, s3 }: CheckOptions,
): Promise<void> {
  if (location.scheme === 's3') await checkS3Store(location, access, s3)
}
