import { checkStore } from '@millrace/artifacts/check-store'
import { parseLocation } from '@millrace/artifacts/location'
import type { Settings } from '../config.ts'

/**
 * Tries the stores that this server is to use, so that a missing right is told at the start and
 * not by the first upload.
 *
 * @throws ApiError whose message says what to repair
 */
export async function checkStores({
  s3,
  azure,
  artifactsDestination,
  defaultArtifactRoot,
  servesArtifacts,
}: Settings): Promise<void> {
  if (servesArtifacts) {
    await checkStore(parseLocation(artifactsDestination), { access: 'write', s3, azure })
  }
  // Runs below it are written to by clients alone.
  await checkStore(parseLocation(defaultArtifactRoot), { access: 'read', s3, azure })
}
