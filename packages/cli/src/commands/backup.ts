import { resolve } from 'node:path'
import type { Command } from 'commander'
import { addStorageOptions, readStorage } from './backup-storage.ts'

interface BackupFlags extends Record<string, unknown> {
  verify?: true
  snapshot?: string
  keep?: string
}

/** Adds `backup`. */
export function addBackupCommand(program: Command): void {
  const command = program
    .command('backup')
    .helpOption('--help')
    .allowExcessArguments(false)
    .description("Back up a server's database and artifacts while it runs.")
    .argument(
      '<directory>',
      'a new or empty directory, or one with earlier backups, whose files are not copied again',
    )
    .option('--keep <count>', 'delete all but so many of the latest backups in the directory')
    .option('--verify', 'make no backup: read the latest one and compare all checksums')
    .option('--snapshot <id>', 'with --verify: another backup than the latest')
  addStorageOptions(command).action(backup)
}

async function backup(directory: string, flags: BackupFlags): Promise<void> {
  process.title = 'millrace backup'
  const folder = resolve(directory)
  const print = (line: string) => process.stdout.write(`${line}\n`)
  if (flags.verify) {
    const { verifyBackup } = await import('@millrace/server/upkeep/verify-backup')
    const { manifest, problems } = await verifyBackup(folder, flags.snapshot)
    if (problems.length > 0)
      throw new Error(`Backup ${manifest.id} is damaged.\n${problems.join('\n')}`)
    print(
      `Backup ${manifest.id} is whole: ${manifest.tables.length} tables, ${manifest.artifacts.files} file(s).`,
    )
    return
  }
  if (flags.snapshot !== undefined) throw new Error('--snapshot goes with --verify.')
  const { database, settings } = readStorage(flags)
  const { backUp } = await import('@millrace/server/upkeep/backup')
  await backUp({ folder, database, settings, keep: readKeep(flags.keep), print })
}

function readKeep(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^[1-9]\d*$/.test(text)) return Number(text)
  throw new Error(`--keep '${text}': this must be a positive number.`)
}
