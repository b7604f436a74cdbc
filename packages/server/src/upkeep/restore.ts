import { invariant } from '@millrace/api/errors'
import { joinArtifactPaths, parseArtifactPath } from '@millrace/artifacts/artifact-path'
import { type ArtifactRoot, resolveRoot } from '../artifacts/artifact-root.ts'
import { type DatabaseConfig, describeDatabase, type Settings } from '../config.ts'
import { type Db, insertRows, kindOf } from '../db/dialect.ts'
import { MIGRATIONS, migrate, readSchemaState } from '../db/migrate.ts'
import { type BackedUpFile, type Manifest, readLines, readObject } from './backup-folder.ts'
import { type CatalogTable, continueIds, listTables, sortByReferences } from './database-catalog.ts'
import { inBatches } from './in-batches.ts'
import { withDatabase } from './open-database.ts'
import { type Cell, decodeRow, dumpTable } from './table-dump.ts'
import { verifyBackup } from './verify-backup.ts'

export interface RestoreOptions {
  folder: string
  /** Which backup of the folder; the latest by default. */
  id?: string | undefined
  database: DatabaseConfig
  settings: Settings
  print(line: string): void
}

/** The key in the table `store` of a database that a restore is under way into. */
const UNDER_WAY = 'restore'
const FILES_AT_ONCE = 8
const ROWS_PER_INSERT = 1000
/** MySQL takes a statement of 16 MiB, unless it is set up otherwise. */
const CHARACTERS_PER_INSERT = 2_000_000

/**
 * Restores a backup into an empty database, of whichever kind, and empty artifact stores. The files
 * come first and the rows in one transaction, so that a database has either nothing or everything; a
 * restore that was cut short goes on when it is repeated. Rows are read again and compared by their
 * checksums before they are committed.
 *
 * @throws Error in a sentence, after which nothing that was there has been changed
 */
export async function restore(options: RestoreOptions): Promise<void> {
  const { folder, database, print } = options
  const { manifest, problems } = await verifyBackup(folder, options.id)
  if (problems.length > 0) {
    throw new Error(`Backup ${manifest.id} is damaged: ${problems.slice(0, 5).join(' ')}`)
  }
  refuseNewer(manifest)
  await withDatabase(database, { made: manifest.migrations.at(-1) }, async (db) => {
    await checkMigrations(db, manifest)
    if (!(await isUnderWay(db, manifest, describeDatabase(database)))) {
      await refuseOccupied(manifest.id, folder, options.settings)
      await db.insertInto('store').values({ key: UNDER_WAY, value: manifest.id }).execute()
    }
    const files = await restoreFiles(manifest, options)
    const rows = await db.transaction().execute((db) => restoreRows(db, manifest, folder))
    // Changing what a table counts from ends a transaction on MySQL.
    const tables = await listTables(db)
    for (const { name, columns } of tables) {
      const isCounted =
        columns.includes('id') && (kindOf(db) !== 'sqlite' || name in manifest.lastIds)
      if (isCounted) await continueIds(db, name, manifest.lastIds[name] ?? 0)
    }
    print(
      `Restored backup ${manifest.id}: ${rows} row(s) of ${manifest.tables.length} tables, ` +
        `${files} file(s); all checksums agree.`,
    )
    for (const uri of manifest.artifacts.unreachable) {
      print(`The files at ${uri} were not in the backup.`)
    }
    const { missing } = await readSchemaState(db)
    if (missing.length === 0) return
    await migrate(db)
    print(`The schema was upgraded (${missing.join(', ')}).`)
  })
}

function refuseNewer({ id, migrations }: Manifest): void {
  const newer = migrations.find((name) => !(name in MIGRATIONS))
  if (newer === undefined) return
  throw new Error(
    `Backup ${id} is of a newer Millrace (its schema has ${newer}). Restore it with that version.`,
  )
}

/** An empty schema that another version has made already is not the one of the backup. */
async function checkMigrations(db: Db, { id, migrations }: Manifest): Promise<void> {
  const { applied } = await readSchemaState(db)
  if (applied.join() === migrations.join()) return
  throw new Error(
    `Backup ${id} has the schema ${migrations.at(-1)}, and the database ${applied.at(-1)}. Restore it into a database without any tables.`,
  )
}

/** Refuses a database with anything in it; whether a restore of this backup was cut short here. */
async function isUnderWay(db: Db, { id }: Manifest, where: string): Promise<boolean> {
  const claim = await db
    .selectFrom('store')
    .select('value')
    .where('key', '=', UNDER_WAY)
    .executeTakeFirst()
  for (const { name } of await listTables(db)) {
    const { n } = await db
      .selectFrom(name as 'run')
      .select(({ fn }) => fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow()
    if (n > (name === 'store' && claim?.value === id ? 1 : 0)) {
      throw new Error(
        `${where} holds data (table ${name}). Restore into an empty database: one that no server was started on.`,
      )
    }
  }
  return claim !== undefined
}

/** Writes every file where its run or model has it under these settings; returns how many. */
async function restoreFiles(
  { id }: Manifest,
  { folder, settings }: RestoreOptions,
): Promise<number> {
  const restoreFile = async (line: string): Promise<void> => {
    const { uri, path, size, sha256 } = JSON.parse(line) as BackedUpFile
    const { store, base } = resolveRoot(uri, settings)
    const target = joinArtifactPaths(base, parseArtifactPath(path))
    const written = await store.write(target, readObject(folder, sha256), { sizeBytes: size })
    if (written.sha256 === sha256) return
    throw new Error(`The bytes of ${uri}/${path} changed while they were restored.`)
  }
  let files = 0
  for await (const _ of inBatches(readLines(folder, id, 'artifacts'), FILES_AT_ONCE, restoreFile)) {
    files++
  }
  return files
}

/** The store behind the proxy must be empty, and so must every location elsewhere. */
async function refuseOccupied(id: string, folder: string, settings: Settings): Promise<void> {
  const seen = new Set<string>()
  for await (const line of readLines(folder, id, 'artifacts')) {
    const { uri } = JSON.parse(line) as BackedUpFile
    const isProxied = uri.startsWith('mlflow-artifacts:')
    const place = isProxied ? 'mlflow-artifacts:/' : uri
    if (seen.has(place)) continue
    seen.add(place)
    const { store, base }: ArtifactRoot = resolveRoot(place, settings)
    const [there] = await store.list(base)
    if (there === undefined) continue
    const where = isProxied ? settings.artifactsDestination : uri
    throw new Error(`${where} holds files (${there.path.join('/')}). Restore into an empty store.`)
  }
}

/** Inserts all rows and compares them with the backup; returns how many. */
async function restoreRows(db: Db, manifest: Manifest, folder: string): Promise<number> {
  await db.deleteFrom('store').where('key', '=', UNDER_WAY).execute()
  const tables = new Map((await listTables(db)).map((table) => [table.name, table]))
  const names = await sortByReferences(
    db,
    manifest.tables.map(({ name }) => name),
  )
  let rows = 0
  for (const name of names) {
    const expected = manifest.tables.find((table) => table.name === name)
    const table = tables.get(name)
    invariant(expected && table, `the schema of the backup has the table ${name}`)
    const { columns } = expected
    await insertLines(db, name, columns, readLines(folder, manifest.id, name))
    await compare(db, table, expected)
    rows += expected.rows
  }
  return rows
}

async function insertLines(
  db: Db,
  name: string,
  columns: readonly string[],
  lines: AsyncIterable<string>,
): Promise<void> {
  const insert = insertRows(name as 'param', { columns: columns as never })
  let rows: Record<string, Cell>[] = []
  let characters = 0
  for await (const line of lines) {
    characters += line.length
    const cells = decodeRow(line)
    rows.push(Object.fromEntries(columns.map((column, index) => [column, cells[index] ?? null])))
    if (rows.length < ROWS_PER_INSERT && characters < CHARACTERS_PER_INSERT) continue
    await insert(db, rows as never)
    rows = []
    characters = 0
  }
  await insert(db, rows as never)
}

async function compare(
  db: Db,
  table: CatalogTable,
  expected: Manifest['tables'][number],
): Promise<void> {
  const lines = dumpTable(db, table, expected.columns)
  let next = await lines.next()
  while (!next.done) next = await lines.next()
  const { rows, sha256 } = next.value
  if (rows === expected.rows && sha256 === expected.sha256) return
  throw new Error(
    `Table ${table.name} has ${rows} row(s) with another checksum after it was restored, of ${expected.rows}. Nothing was kept.`,
  )
}
