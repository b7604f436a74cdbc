import {
  type ArtifactPath,
  formatArtifactPath,
  joinArtifactPaths,
  parseArtifactPath,
} from '@millrace/artifacts/artifact-path'
import type { ArtifactEntry, ArtifactStore } from '@millrace/artifacts/artifact-store'
import { createClient } from '@millrace/client/client'
import { trackingOf } from './models-options.ts'

type Removable = Pick<ArtifactStore, 'list' | 'delete'>

/** The artifacts behind a server's proxy, as a store that lists and deletes. */
export function proxiedStoreOf(uri: string, environment: NodeJS.ProcessEnv): Removable {
  const server = trackingOf({ ...environment, MLFLOW_TRACKING_URI: uri })
  if (!server) throw new Error(`The tracking URI '${uri}' is not that of a server.`)
  const { artifacts } = createClient({ baseUrl: server.url, headers: server.headers })
  return {
    async list(directory: ArtifactPath) {
      const { files = [] } = await artifacts.listProxied({ path: formatArtifactPath(directory) })
      return files.map(({ path, is_dir, file_size = 0 }): ArtifactEntry => {
        const at = joinArtifactPaths(directory, parseArtifactPath(path))
        if (is_dir) return { kind: 'directory', path: at }
        return { kind: 'file', path: at, sizeBytes: Number(file_size) }
      })
    },
    async delete(path: ArtifactPath) {
      await artifacts.deleteProxied({ path: formatArtifactPath(path) })
    },
  }
}

/** Stands for artifacts that were not found, so that nothing whose files these are is purged. */
export function unknownStore(destination: string): Removable {
  const refuse = async () => {
    throw new Error(
      `Nothing is at ${destination}, where artifacts are by default. Say where the server keeps ` +
        'them with --artifacts-destination, or where the server is with --tracking-uri.',
    )
  }
  return { list: refuse, delete: refuse }
}
