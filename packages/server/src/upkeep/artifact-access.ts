import { ApiError } from '@millrace/api/errors'
import type { ArtifactPath } from '@millrace/artifacts/artifact-path'
import type { ArtifactStore } from '@millrace/artifacts/artifact-store'
import { parseLocation } from '@millrace/artifacts/location'
import { resolveRoot } from '../artifacts/artifact-root.ts'
import type { Settings } from '../config.ts'

/** What upkeep needs of a store when it only looks and deletes. */
export type Removable = Pick<ArtifactStore, 'list' | 'delete'>

export interface ArtifactAccess {
  settings: Settings
  /** What is behind `mlflow-artifacts:`, when it is reached through a server. */
  proxied?: Removable | undefined
}

/**
 * Where the artifacts at a URI are for this program, by the rules of the server: only below what
 * whoever runs it has named; or in words why it cannot reach them.
 */
export function reachTree(
  uri: string,
  { settings, proxied }: ArtifactAccess,
): { store: Removable; base: ArtifactPath } | { unreachable: string } {
  try {
    const location = parseLocation(uri)
    if (proxied && location.scheme === 'mlflow-artifacts') {
      return { store: proxied, base: location.segments }
    }
    return resolveRoot(uri, settings)
  } catch (error) {
    if (error instanceof ApiError && error.status < 500) return { unreachable: error.message }
    throw error
  }
}
