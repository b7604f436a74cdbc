import { type ArtifactPath, parseArtifactPath } from '@millrace/artifacts/artifact-path'
import type { ArtifactEntry, ArtifactStore } from '@millrace/artifacts/artifact-store'

export type ArtifactFile = Extract<ArtifactEntry, { kind: 'file' }>

/** How many files there are and how many bytes they hold. */
export interface Size {
  files: number
  bytes: number
}

/** Every file below a directory, in code point order of each level; paths from the store's root. */
export async function* walkFiles(
  store: Pick<ArtifactStore, 'list'>,
  directory: ArtifactPath,
): AsyncGenerator<ArtifactFile, void, undefined> {
  for (const entry of await store.list(directory)) {
    if (entry.kind === 'file') yield entry
    else yield* walkFiles(store, entry.path)
  }
}

/** The size of everything below a directory. */
export async function measureTree({
  store,
  base,
}: {
  store: Pick<ArtifactStore, 'list'>
  base: ArtifactPath
}): Promise<Size> {
  const size = { files: 0, bytes: 0 }
  for await (const { sizeBytes } of walkFiles(store, base)) {
    size.files++
    size.bytes += sizeBytes
  }
  return size
}

/**
 * Deletes the artifacts of a run or logged model, and the directory of its own that they are in
 * (`…/<id>/artifacts`) unless something else is kept there.
 */
export async function deleteTree(
  { store, base }: { store: Pick<ArtifactStore, 'list' | 'delete'>; base: ArtifactPath },
  id: string,
): Promise<void> {
  await store.delete(base)
  if (base.at(-2) !== id) return
  const own = parseArtifactPath(base.slice(0, -1).join('/'))
  if ((await store.list(own)).length === 0) await store.delete(own)
}
