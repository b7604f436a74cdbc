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
    .argument('<directory>', 'where the backups are')
    .option('--snapshot <id>', 'another backup of the directory than the latest')
  addStorageOptions(command).action(restoreBackup)
}

async function restoreBackup(
  directory: string,
  flags: Record<string, unknown> & { snapshot?: string },
): Promise<void> {
  process.title = 'millrace restore'
  const { database, settings } = readStorage(flags)
  const { restore } = await import('@millrace/server/upkeep/restore')
  await restore({
    folder: resolve(directory),
    id: flags.snapshot,
    database,
    settings,
    print: (line) => process.stdout.write(`${line}\n`),
  })
}
