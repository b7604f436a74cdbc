import {
  type ArtifactPath,
  formatArtifactPath,
  joinArtifactPaths,
  parseArtifactPath,
} from '@millrace/artifacts/artifact-path'
import type { ArtifactStore } from '@millrace/artifacts/artifact-store'
import { type Db, inPieces } from '../db/dialect.ts'
import { type ArtifactAccess, type Removable, reachTree } from './artifact-access.ts'
import { type Size, walkFiles } from './artifact-tree.ts'
import { listPending } from './purge-store.ts'

/** A directory made for a run or logged model that is in no table. */
export interface OrphanTree extends Size {
  store: Removable
  path: ArtifactPath
  uri: string
  /** When its newest file was written; 0 when it has none, or nobody knows. */
  newestMs: number
}

/** Where runs and logged models keep their artifacts: the experiment's location, as it is reached. */
export interface ExperimentDirectory {
  store: Removable
  base: ArtifactPath
  uri: string
}

const RUN = /^[0-9a-f]{32}$/
const MODEL = /^m-[0-9a-f]{32}$/

/**
 * Directories `<run id>/artifacts` and `models/<model id>/artifacts` below the locations of
 * experiments, those of purged experiments included, whose run or model does not exist. What holds
 * anything else besides is not ours and is not named.
 */
export async function* findOrphanTrees(
  db: Db,
  access: ArtifactAccess,
): AsyncGenerator<OrphanTree, void, undefined> {
  const pending = new Set((await listPending(db)).map(({ name }) => name))
  for (const directory of await listExperimentDirectories(db, access)) {
    for (const { below, pattern, find } of [
      { below: '', pattern: RUN, find: findRuns },
      { below: 'models', pattern: MODEL, find: findModels },
    ]) {
      const at = joinArtifactPaths(directory.base, parseArtifactPath(below))
      const names = await directoriesIn(directory.store, at)
      const candidates = names.filter((name) => pattern.test(name) && !pending.has(name))
      const known = await find(db, candidates)
      for (const name of candidates.filter((candidate) => !known.has(candidate))) {
        const path = joinArtifactPaths(at, parseArtifactPath(name))
        const uri = [directory.uri.replace(/\/$/, ''), below, name].filter(Boolean).join('/')
        if (await holdsOnlyArtifacts(directory.store, path)) {
          yield await measure({ store: directory.store, path, uri })
        }
      }
    }
  }
}

/** Deletes an orphan for good. */
export async function deleteOrphan({ store, path }: OrphanTree): Promise<void> {
  await store.delete(path)
}

/** The locations of all experiments that this program can reach, each directory once. */
export async function listExperimentDirectories(
  db: Db,
  access: ArtifactAccess,
): Promise<ExperimentDirectory[]> {
  const rows = await db.selectFrom('experiment').select('artifact_location').orderBy('id').execute()
  const uris = rows.map(({ artifact_location }) => artifact_location)
  const root = access.settings.defaultArtifactRoot.replace(/\/$/, '')
  const tree = reachTree(`${root}/`, access)
  if (!('unreachable' in tree)) {
    const names = await directoriesIn(tree.store, tree.base)
    uris.push(...names.filter((name) => /^\d+$/.test(name)).map((name) => `${root}/${name}`))
  }
  const seen = new Map<object, Set<string>>()
  const directories: ExperimentDirectory[] = []
  for (const uri of uris) {
    const found = reachTree(uri, access)
    if ('unreachable' in found) continue
    const paths = seen.get(found.store) ?? new Set()
    const path = formatArtifactPath(found.base)
    if (!paths.has(path)) directories.push({ ...found, uri })
    seen.set(found.store, paths.add(path))
  }
  return directories
}

/** Names of the directories in a directory. */
export async function directoriesIn(store: Removable, path: ArtifactPath): Promise<string[]> {
  const entries = await store.list(path)
  return entries.filter(({ kind }) => kind === 'directory').map((entry) => entry.path.at(-1) ?? '')
}

async function findRuns(db: Db, names: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>()
  for (const piece of inPieces(names)) {
    const rows = await db.selectFrom('run').select('uuid').where('uuid', 'in', piece).execute()
    for (const { uuid } of rows) found.add(uuid)
  }
  return found
}

async function findModels(db: Db, names: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>()
  for (const piece of inPieces(names)) {
    const rows = await db
      .selectFrom('logged_model')
      .select('model_id')
      .where('model_id', 'in', piece)
      .execute()
    for (const { model_id } of rows) found.add(model_id)
  }
  return found
}

/** MLflow's own file store keeps runs in directories of the same names, with `meta.yaml` beside. */
async function holdsOnlyArtifacts(store: Removable, path: ArtifactPath): Promise<boolean> {
  const entries = await store.list(path)
  return entries.every(({ kind, path }) => kind === 'directory' && path.at(-1) === 'artifacts')
}

async function measure(tree: Pick<OrphanTree, 'store' | 'path' | 'uri'>): Promise<OrphanTree> {
  const orphan = { ...tree, files: 0, bytes: 0, newestMs: 0 }
  for await (const { path, sizeBytes } of walkFiles(tree.store, tree.path)) {
    orphan.files++
    orphan.bytes += sizeBytes
    orphan.newestMs = Math.max(orphan.newestMs, await writtenMs(tree.store, path))
  }
  return orphan
}

async function writtenMs(store: Removable, path: ArtifactPath): Promise<number> {
  // A store behind a server does not tell, so what is there counts as new.
  if (!('stat' in store)) return Date.now()
  const stat = await (store as Pick<ArtifactStore, 'stat'>).stat(path)
  return stat.kind === 'file' ? stat.lastModified.getTime() : 0
}
