import { resolve } from 'node:path'
import type { Command } from 'commander'
import { addStorageOptions, readStorage } from './backup-storage.ts'

interface BackupFlags extends Record<string, unknown> {
  verify?: true
  snapshot?: string
  keep?: string
  output?: string
}

/** Adds `backup`. */
export function addBackupCommand(program: Command): void {
  const command = program
    .command('backup')
    .helpOption('--help')
    .allowExcessArguments(false)
    .description("Back up a server's database and artifacts while it runs.")
    .argument(
      '[directory]',
      'a new or empty directory, or one with earlier backups, whose files are not copied again',
    )
    .option('-o, --output <file>', 'one new file instead: a path or s3:// URI that ends in .tar')
    .option('--keep <count>', 'delete all but so many of the latest backups in the directory')
    .option('--verify', 'make no backup: read the latest one and compare all checksums')
    .option('--snapshot <id>', 'with --verify: another backup than the latest')
  addStorageOptions(command).action(backup)
}

async function backup(directory: string | undefined, flags: BackupFlags): Promise<void> {
  process.title = 'millrace backup'
  if ((directory === undefined) === (flags.output === undefined)) {
    throw new Error('Name a directory, or a file with --output.')
  }
  const { isArchive } = await import('@millrace/server/upkeep/backup-archive')
  const file = flags.output ?? (isArchive(directory ?? '') ? directory : undefined)
  if (file !== undefined) return backupToFile(file, flags)
  const folder = resolve(directory ?? '')
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

async function backupToFile(file: string, flags: BackupFlags): Promise<void> {
  if (flags.snapshot !== undefined || flags.keep !== undefined) {
    throw new Error('--snapshot and --keep are for directories; a file holds one backup.')
  }
  const { isArchive, backUpToArchive, withArchive } = await import(
    '@millrace/server/upkeep/backup-archive'
  )
  if (!isArchive(file)) throw new Error(`--output '${file}': the name must end in .tar.`)
  const { database, settings } = readStorage(flags)
  const print = (line: string) => process.stdout.write(`${line}\n`)
  if (!flags.verify) return backUpToArchive(file, { database, settings, print })
  const { verifyBackup } = await import('@millrace/server/upkeep/verify-backup')
  const { manifest, problems } = await withArchive(file, settings, verifyBackup)
  if (problems.length > 0) throw new Error(`${file} is damaged.\n${problems.join('\n')}`)
  print(
    `Backup ${manifest.id} is whole: ${manifest.tables.length} tables, ${manifest.artifacts.files} file(s).`,
  )
}

function readKeep(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^[1-9]\d*$/.test(text)) return Number(text)
  throw new Error(`--keep '${text}': this must be a positive number.`)
}
