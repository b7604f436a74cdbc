import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describeDatabase, type OptionValues, readConfig } from '@millrace/server/config'
import { findMisspelt } from '@millrace/server/misspelt-settings'
import { REFUSED_OPTIONS, SERVER_OPTIONS, type ServerOption } from '@millrace/server/server-options'
import { type Command, Option } from 'commander'
import { announcePlane, startPlaneBeside } from './server-plane.ts'
import { isWorker, superviseWorkers, type WorkerReady } from './server-workers.ts'

const UI_DIRECTORY = fileURLToPath(new URL('../../../ui/dist', import.meta.url))

/** Adds `server`, or `ui`, which is the same by the name that MLflow also gives it. */
export function addServerCommand(program: Command, name: 'server' | 'ui'): void {
  const command = program
    .command(name)
    .description('Start the tracking server with its web pages.')
    .helpOption('--help')
    .allowExcessArguments(false)
  const flags = SERVER_OPTIONS.filter(({ isFromEnvironmentOnly }) => !isFromEnvironmentOnly)
  for (const option of flags) for (const flag of toOptions(option)) command.addOption(flag)
  for (const refused of Object.keys(REFUSED_OPTIONS)) {
    command.addOption(new Option(`--${refused} [value]`).hideHelp())
  }
  command.action(async (_options, { optsWithGlobals }) => {
    await runServer(byName(optsWithGlobals.call(command)))
  })
}

function toOptions(setting: ServerOption) {
  const { name, short, value, isValueOptional, isNegatable, describe, defaultsTo } = setting
  const placeholder = value && (isValueOptional ? ` [${value}]` : ` <${value}>`)
  const flags = `${short ? `-${short}, ` : ''}--${name}${placeholder ?? ''}`
  const shown = defaultsTo ? `${describe} (default: ${defaultsTo})` : describe
  const option = new Option(flags, shown)
  return isNegatable ? [option, new Option(`--no-${name}`, `Not: ${describe}`)] : [option]
}

/** Commander names values in camelCase; the settings go by the names of their flags. */
function byName(values: Record<string, string | boolean>): OptionValues {
  const named: Record<string, string | boolean> = {}
  for (const [key, value] of Object.entries(values)) {
    named[key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)] = value
  }
  return named
}

async function runServer(flags: OptionValues): Promise<void> {
  for (const [name, reason] of Object.entries(REFUSED_OPTIONS)) {
    if (flags[name] !== undefined) throw new Error(`--${name} is not supported: ${reason}.`)
  }
  for (const { name, ignoredBecause } of SERVER_OPTIONS) {
    if (ignoredBecause === undefined || flags[name] === undefined) continue
    process.stderr.write(`millrace: --${name} is not used: ${ignoredBecause}.\n`)
  }
  for (const { name, meant } of isWorker() ? [] : findMisspelt(process.env)) {
    process.stderr.write(`millrace: ${name} is not a setting; was ${meant} meant?\n`)
  }
  const hasPages = existsSync(UI_DIRECTORY)
  const config = readConfig(flags, process.env, hasPages ? UI_DIRECTORY : undefined)
  // Arguments are in the list of processes, and there may be a password among them.
  process.title = 'millrace server'
  const announce = (url: string) => {
    process.stdout.write(`Millrace is at ${url}\n`)
    process.stdout.write(
      `Database ${describeDatabase(config.database)}, artifacts ${config.settings.artifactsDestination}. Ctrl+C stops it.\n`,
    )
  }
  if (config.workers > 1 && config.database.kind === 'sqlite') {
    process.stderr.write('millrace: --workers is not used: one process serves all on SQLite.\n')
  } else if (config.workers > 1 && !isWorker()) {
    process.exitCode = await superviseWorkers(config.workers, ({ url }) => announce(url))
    process.exit()
  }
  const { serve } = await import('@millrace/server/serve')
  const server = await serve(config)
  const { sageMaker } = config
  const plane = sageMaker && (await startPlaneBeside(server, sageMaker))
  stopOnSignal(async () => {
    await plane?.[Symbol.asyncDispose]()
    await server.close()
  }, config.drainSeconds)
  if (isWorker()) return void process.send?.({ url: server.url } satisfies WorkerReady)
  announce(server.url)
  if (plane) announcePlane(plane)
  if (flags['demo']) {
    const { fillDemo } = await import('../demo.ts')
    await fillDemo(server.url)
    process.stdout.write('The sample project is filled in.\n')
  }
}

const CLOSE_TIMEOUT_MS = 30_000

/** Ends the process cleanly on the first signal and at once on the second. */
function stopOnSignal(close: () => Promise<void>, drainSeconds: number): void {
  let isClosing = false
  const stop = () => {
    if (isClosing) process.exit(1)
    isClosing = true
    setTimeout(() => process.exit(1), CLOSE_TIMEOUT_MS + drainSeconds * 1000).unref()
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(
          `millrace: ${error instanceof Error ? error.message : String(error)}\n`,
        )
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', stop)
  // Ctrl+C reaches every process of a terminal; workers wait for the one that started them.
  process.on('SIGINT', isWorker() ? () => {} : stop)
}
