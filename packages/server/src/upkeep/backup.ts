import { createHash } from 'node:crypto'
import { ApiError } from '@millrace/api/errors'
import { formatArtifactPath, parseArtifactPath } from '@millrace/artifacts/artifact-path'
import { type ArtifactRoot, resolveRoot } from '../artifacts/artifact-root.ts'
import type { DatabaseConfig, Settings } from '../config.ts'
import { type Db, kindOf } from '../db/dialect.ts'
import { readSchemaState } from '../db/migrate.ts'
import type { ArtifactFile } from './artifact-tree.ts'
import { walkFiles } from './artifact-tree.ts'
import {
  type BackedUpFile,
  hasObject,
  keepLatest,
  listSnapshots,
  type Manifest,
  type PartialSnapshot,
  readLines,
  startSnapshot,
  writeObject,
} from './backup-folder.ts'
import { inSnapshot, listTables, readLastId } from './database-catalog.ts'
import { inBatches } from './in-batches.ts'
import { withDatabase } from './open-database.ts'
import { dumpTable, type TableDigest } from './table-dump.ts'

export interface BackupOptions {
  folder: string
  database: DatabaseConfig
  settings: Settings
  /** How many backups the folder keeps; all when undefined. */
  keep?: number | undefined
  print(line: string): void
}

/** Runs and logged models whose files are looked for at the same time. */
const OWNERS_AT_ONCE = 16

/** Tables that must not give out the id of something purged again. */
const WITH_UNUSED_IDS = ['experiment']

/**
 * Backs up a database and the artifacts of its runs and logged models while servers go on writing.
 * What was acknowledged before is in it: the tables are of one snapshot, and files are looked for
 * after it was taken. Files that an earlier backup in the folder has are not copied again.
 */
export async function backUp(options: BackupOptions): Promise<Manifest['id']> {
  const { folder, print } = options
  try {
    const [previous] = (await listSnapshots(folder)).slice(-1)
    await using snapshot = await startSnapshot(folder)
    const { owners, ...metadata } = await withDatabase(options.database, 'read older', (db) =>
      inSnapshot(db, (db) => dumpDatabase(db, snapshot)),
    )
    const artifacts = await copyArtifacts(owners, { ...options, snapshot, previous })
    await snapshot.complete({ ...metadata, artifacts })
    const rows = metadata.tables.reduce((sum, table) => sum + table.rows, 0)
    print(
      `Backup ${snapshot.id}: ${rows} row(s) of ${metadata.tables.length} tables, ` +
        `${artifacts.files} file(s) with ${artifacts.fileBytes} byte(s).`,
    )
    for (const id of options.keep === undefined ? [] : await keepLatest(folder, options.keep)) {
      print(`Backup ${id} was deleted.`)
    }
    return snapshot.id
  } catch (error) {
    throw toAdvice(error, folder)
  }
}

function toAdvice(error: unknown, folder: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new Error(`The disk of ${folder} is full. No backup was made.`, { cause: error })
  }
  if (code === 'EACCES' || code === 'EROFS') {
    return new Error(`This user may not write to ${folder}.`, { cause: error })
  }
  return error
}

async function dumpDatabase(db: Db, snapshot: PartialSnapshot) {
  const { applied: migrations } = await readSchemaState(db)
  const taken = new Date().toISOString()
  const owners = await listOwners(db)
  const tables: Manifest['tables'] = []
  for (const table of await listTables(db)) {
    const digest = await snapshot.writeText(table.name, dumpTable(db, table))
    tables.push({ name: table.name, columns: table.columns, ...digest })
  }
  const lastIds: Record<string, number> = {}
  for (const table of WITH_UNUSED_IDS) lastIds[table] = await readLastId(db, table)
  return { taken, database: kindOf(db), migrations, tables, lastIds, owners }
}

/** Where runs and logged models keep their files. */
async function listOwners(db: Db): Promise<string[]> {
  const runs = await db.selectFrom('run').select('artifact_uri as uri').orderBy('id').execute()
  const models = await db
    .selectFrom('logged_model')
    .select('artifact_location as uri')
    .orderBy('id')
    .execute()
  return [...runs, ...models].map(({ uri }) => uri)
}

interface Copying extends BackupOptions {
  snapshot: PartialSnapshot
  previous: string | undefined
}

async function copyArtifacts(
  owners: readonly string[],
  options: Copying,
): Promise<Manifest['artifacts']> {
  const known = await readKnown(options)
  const sum = { files: 0, fileBytes: 0, unreachable: [] as string[] }
  const list = await options.snapshot.writeText('artifacts', listFiles())
  return { ...sum, list }

  async function* listFiles(): AsyncGenerator<string, TableDigest, undefined> {
    const hash = createHash('sha256')
    const digest = { rows: 0, bytes: 0 }
    for await (const { uri, files } of inBatches(owners, OWNERS_AT_ONCE, keepOwner)) {
      if (files === undefined) {
        sum.unreachable.push(uri)
        continue
      }
      for (const file of files) {
        const line = `${JSON.stringify(file)}\n`
        hash.update(line)
        digest.rows++
        digest.bytes += Buffer.byteLength(line)
        sum.files++
        sum.fileBytes += file.size
        yield line
      }
    }
    return { ...digest, sha256: hash.digest('hex') }
  }

  async function keepOwner(uri: string): Promise<{ uri: string; files?: BackedUpFile[] }> {
    const root = findRoot(uri, options)
    if (root === undefined) return { uri }
    const files: BackedUpFile[] = []
    for await (const file of walkFiles(root.store, root.base)) {
      const backedUp = await keepFile({ uri, root, file, known }, options.folder)
      if (backedUp !== undefined) files.push(backedUp)
    }
    return { uri, files }
  }
}

function findRoot(uri: string, { settings, print }: Copying): ArtifactRoot | undefined {
  try {
    return resolveRoot(uri, settings)
  } catch (error) {
    if (!(error instanceof ApiError) || error.status >= 500) throw error
    print(`The files at ${uri} are not in the backup: ${error.message}`)
    return undefined
  }
}

type Known = Map<string, Pick<BackedUpFile, 'etag' | 'size' | 'sha256'>>

/** Files of the backup before, by where they are. */
async function readKnown({ folder, previous }: Copying): Promise<Known> {
  const known: Known = new Map()
  if (previous === undefined) return known
  for await (const line of readLines(folder, previous, 'artifacts')) {
    const { uri, path, ...version } = JSON.parse(line) as BackedUpFile
    known.set(`${uri}\n${path}`, version)
  }
  return known
}

interface FileToKeep {
  uri: string
  root: ArtifactRoot
  file: ArtifactFile
  known: Known
}

/** Undefined for a file that was deleted since it was listed. */
async function keepFile(
  { uri, root: { store, base }, file, known }: FileToKeep,
  folder: string,
): Promise<BackedUpFile | undefined> {
  const path = formatArtifactPath(parseArtifactPath(file.path.slice(base.length).join('/')))
  try {
    const before = known.get(`${uri}\n${path}`)
    if (before !== undefined && (await hasObject(folder, before.sha256, before.size))) {
      const now = await store.stat(file.path)
      if (now.kind === 'file' && now.etag === before.etag) return { uri, path, ...before }
    }
    const { body, etag } = await store.open(file.path)
    const { sha256, size } = await writeObject(folder, body)
    return { uri, path, size, etag, sha256 }
  } catch (error) {
    if (error instanceof ApiError && error.code === 'RESOURCE_DOES_NOT_EXIST') return undefined
    throw error
  }
}
