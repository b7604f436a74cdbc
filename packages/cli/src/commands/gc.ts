import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { addStorageOptions, namesDestination, readStorage } from './backup-storage.ts'

interface GcFlags extends Record<string, unknown> {
  olderThan?: string
  runIds?: string
  experimentIds?: string
  loggedModelIds?: string
  trackingUri?: string
  jobs?: true
  jobIds?: string
  workspace?: string
  allWorkspaces?: true
  dryRun?: true
  retention?: true
  orphans?: true
  deleteOrphans?: true
}

/** Adds `gc`, with the flags of `mlflow gc` and a few more. */
export function addGcCommand(program: Command): void {
  const command = program
    .command('gc')
    .helpOption('--help')
    .allowExcessArguments(false)
    .description('Delete for good what is in the bin: runs, logged models and experiments.')
    .option(
      '--older-than <age>',
      'only what has been in the bin for so long, such as 30d or 1d2h3m4s',
    )
    .option('--run-ids <ids>', 'these deleted runs instead of all of them, separated by commas')
    .option('--experiment-ids <ids>', 'these deleted experiments, with their runs and models')
    .option('--logged-model-ids <ids>', 'these deleted logged models')
    .option(
      '--tracking-uri <uri>',
      'server through which proxied artifacts are deleted when no --artifacts-destination is given (default: MLFLOW_TRACKING_URI)',
    )
    .option('--dry-run', 'say how many rows and bytes would go, and change nothing')
    .option('--retention', 'instead: apply the tag millrace.retention of experiments')
    .option(
      '--orphans',
      'instead: report files and rows that belong to nothing, and what lacks files',
    )
    .option('--delete-orphans', 'with --orphans: delete them when they are older than a day')
    .option('--jobs', 'taken for the sake of scripts: there are no stored jobs')
    .option('--job-ids <ids>', 'taken for the sake of scripts: there are no stored jobs')
    .option('--workspace <name>', 'only `default`: there are no other workspaces')
    .option('--all-workspaces', 'taken for the sake of scripts: there is one workspace')
  addStorageOptions(command).action(gc)
}

async function gc(flags: GcFlags): Promise<void> {
  refuseContradictions(flags)
  const config = readStorage(flags)
  process.title = 'millrace gc'
  const print = (line: string) => process.stdout.write(`${line}\n`)
  const { database, settings } = config
  const proxied = await proxiedThroughServer(flags, settings.artifactsDestination)
  const isTrial = flags.dryRun === true
  const { parseDuration } = await import('@millrace/server/upkeep/duration')
  const age = flags.olderThan
  const olderThan = age === undefined ? undefined : { text: age, ms: parseDuration(age) }
  const options = { database, settings, proxied, isTrial, print }
  if (flags.orphans) {
    const { reportOrphans } = await import('@millrace/server/upkeep/orphans')
    return reportOrphans({ ...options, isTrial: flags.deleteOrphans !== true || isTrial })
  }
  if (flags.retention) {
    const { applyRetention } = await import('@millrace/server/upkeep/retention')
    return applyRetention({ ...options, olderThanMs: olderThan?.ms })
  }
  const { collectGarbage } = await import('@millrace/server/upkeep/collect-garbage')
  await collectGarbage({
    ...options,
    query: {
      ...(flags.runIds && { run_ids: flags.runIds.split(',') }),
      ...(flags.experimentIds && { experiment_ids: flags.experimentIds.split(',') }),
      ...(flags.loggedModelIds && { model_ids: flags.loggedModelIds.split(',') }),
      ...(olderThan && { olderThan }),
    },
  })
}

function refuseContradictions(flags: GcFlags): void {
  const ids = flags.runIds ?? flags.experimentIds ?? flags.loggedModelIds
  if (flags.deleteOrphans && !flags.orphans) {
    throw new Error('--delete-orphans goes with --orphans.')
  }
  if ((flags.orphans || flags.retention) && ids !== undefined) {
    throw new Error('--orphans and --retention look at everything: leave the ids away.')
  }
  if (flags.orphans && flags.retention) throw new Error('Choose one of --orphans and --retention.')
  if (flags.workspace !== undefined && flags.workspace !== 'default') {
    throw new Error(`There is no workspace '${flags.workspace}', only 'default'.`)
  }
}

/**
 * The artifacts behind `mlflow-artifacts:` when nobody said where they are: through a server, or
 * not at all when they are not where they would be by default either.
 */
async function proxiedThroughServer(flags: GcFlags, destination: string) {
  if (namesDestination(flags)) return undefined
  const uri = flags.trackingUri ?? process.env['MLFLOW_TRACKING_URI'] ?? ''
  const isServer = /^https?:\/\//.test(uri)
  if (!isServer && existsSync(destination)) return undefined
  const { proxiedStoreOf, unknownStore } = await import('./gc-proxied-artifacts.ts')
  return isServer ? proxiedStoreOf(uri, process.env) : unknownStore(destination)
}
