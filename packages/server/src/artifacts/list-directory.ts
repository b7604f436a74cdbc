import type { FileInfo } from '@millrace/api/artifacts'
import {
  formatArtifactPath,
  joinArtifactPaths,
  parseArtifactPath,
} from '@millrace/artifacts/artifact-path'
import type { ArtifactEntry } from '@millrace/artifacts/artifact-store'
import type { Settings } from '../config.ts'
import { resolveRoot } from './artifact-root.ts'

/**
 * One directory of the artifacts at `artifact_uri`, paths relative to it and sorted; a path that is
 * a file or does not exist has no entries.
 */
export async function listDirectory(
  artifact_uri: string,
  path: string | undefined,
  settings: Settings,
): Promise<FileInfo[]> {
  const below = parseArtifactPath(path ?? '')
  const { store, base } = resolveRoot(artifact_uri, settings)
  const entries = await store.list(joinArtifactPaths(base, below))
  return entries.map((entry) => toFileInfo(entry, base.length))
}

/** An entry as it travels, without the first `depth` segments of its path. */
export function toFileInfo(entry: ArtifactEntry, depth: number): FileInfo {
  const path = formatArtifactPath(entry.path).split('/').slice(depth).join('/')
  return entry.kind === 'file'
    ? { path, is_dir: false, file_size: entry.sizeBytes }
    : { path, is_dir: true }
}
