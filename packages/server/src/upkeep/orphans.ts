import type { DatabaseConfig } from '../config.ts'
import type { ArtifactAccess } from './artifact-access.ts'
import { findMissingFiles } from './missing-files.ts'
import { withDatabase } from './open-database.ts'
import { countOrphanRows, deleteOrphanRows } from './orphan-rows.ts'
import { deleteOrphan, findOrphanTrees } from './orphan-trees.ts'

export interface OrphanOptions extends ArtifactAccess {
  database: DatabaseConfig
  /** Reports and changes nothing. */
  isTrial: boolean
  print(line: string): void
}

/** What is younger may belong to something that is just coming into being. */
const AGE_MS = 24 * 3600 * 1000

/**
 * Says which directories of artifacts belong to no run or logged model, which rows to none, and what
 * should have files and has none. Deletes the first two, when they are a day old, if asked.
 */
export async function reportOrphans(options: OrphanOptions): Promise<void> {
  const { database, isTrial, print } = options
  await withDatabase(database, isTrial ? 'read' : 'write', async (db) => {
    const sum = { directories: 0, files: 0, bytes: 0, deleted: 0 }
    for await (const orphan of findOrphanTrees(db, options)) {
      sum.directories++
      sum.files += orphan.files
      sum.bytes += orphan.bytes
      const isOld = orphan.newestMs < Date.now() - AGE_MS
      const goes = !isTrial && isOld
      if (goes) {
        await deleteOrphan(orphan)
        sum.deleted++
      }
      const fate = goes ? 'deleted' : isOld ? 'older than a day' : 'younger than a day, so it stays'
      print(`${orphan.uri}: ${orphan.files} file(s), ${orphan.bytes} byte(s), ${fate}`)
    }
    print(
      `Directories without a run or logged model: ${sum.directories} with ${sum.files} file(s), ` +
        `${sum.bytes} byte(s); ${sum.deleted} deleted.`,
    )
    const rows = isTrial ? await countOrphanRows(db) : await deleteOrphanRows(db)
    for (const [table, n] of rows) print(`${table}: ${n} row(s) without an owner`)
    const total = [...rows.values()].reduce((all, n) => all + n, 0)
    print(`Rows without a run or logged model: ${total}; ${isTrial ? 0 : total} deleted.`)
    const missing = await findMissingFiles(db, options)
    for (const line of missing.lines) print(line)
    print(
      `Runs without a directory: ${missing.runs}; a run that logged no file has none. ` +
        `Things that should have files and have none: ${missing.lines.length}.`,
    )
  })
}
