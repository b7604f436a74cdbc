import { lookup } from 'mime-types'
import {
  type ArtifactPath,
  isArtifactName,
  joinArtifactPaths,
  parseArtifactPath,
} from './artifact-path.ts'
import type { ArtifactEntry } from './artifact-store.ts'

/** What the keys of a directory's content begin with; empty for a whole bucket. */
export function directoryPrefix(base: ArtifactPath, path: ArtifactPath): string {
  return joinArtifactPaths(base, path)
    .map((segment) => `${segment}/`)
    .join('')
}

/**
 * The content of a directory in the order that stores list in. A name that no path can have is left
 * out: there is no way to ask for it.
 */
export function objectEntries(
  directory: ArtifactPath,
  names: { directories: Iterable<string>; sizesByFile: Iterable<readonly [string, number]> },
): ArtifactEntry[] {
  const entries: [name: Buffer, entry: ArtifactEntry][] = []
  const at = (name: string) => joinArtifactPaths(directory, parseArtifactPath(name))
  for (const name of names.directories) {
    if (!isArtifactName(name)) continue
    entries.push([Buffer.from(name), { kind: 'directory', path: at(name) }])
  }
  for (const [name, sizeBytes] of names.sizesByFile) {
    if (!isArtifactName(name)) continue
    entries.push([Buffer.from(name), { kind: 'file', path: at(name), sizeBytes }])
  }
  return entries.sort(([a], [b]) => Buffer.compare(a, b)).map(([, entry]) => entry)
}

/** The one spelling of an ETag, with its quotes. */
export function quotedEtag(etag = ''): string {
  return etag.startsWith('"') ? etag : `"${etag}"`
}

/** The type that an object is stored under, by its name. */
export function objectType(path: ArtifactPath): string {
  return lookup(path.at(-1) ?? '') || 'application/octet-stream'
}
