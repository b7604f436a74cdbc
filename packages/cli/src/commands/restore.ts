import { resolve } from 'node:path'
import type { Command } from 'commander'
import { addStorageOptions, readStorage } from './backup-storage.ts'

/** Adds `restore`. */
export function addRestoreCommand(program: Command): void {
  const command = program
    .command('restore')
    .helpOption('--help')
    .allowExcessArguments(false)
    .description('Restore a backup into an empty database, of any kind, and empty artifact stores.')
    .argument(
      '<place>',
      'the directory where the backups are, or one in a file, by its path or URI',
    )
    .option('--snapshot <id>', 'another backup of the directory than the latest')
  addStorageOptions(command).action(restoreBackup)
}

async function restoreBackup(
  place: string,
  flags: Record<string, unknown> & { snapshot?: string },
): Promise<void> {
  process.title = 'millrace restore'
  const { database, settings } = readStorage(flags)
  const { restore } = await import('@millrace/server/upkeep/restore')
  const { isArchive, withArchive } = await import('@millrace/server/upkeep/backup-archive')
  const print = (line: string) => process.stdout.write(`${line}\n`)
  const from = (folder: string) =>
    restore({ folder, id: flags.snapshot, database, settings, print })
  await (isArchive(place) ? withArchive(place, settings, from) : from(resolve(place)))
}
