import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { backends, jsonObject, readStores, trackingUriOf } from './run-settings.ts'
import { interruptOnSignals } from './run-signals.ts'

interface RunFlags {
  entryPoint: string
  version?: string
  paramList: string[]
  dockerArgs: string[]
  experimentName?: string
  experimentId?: string
  backend: string
  backendConfig?: string
  envManager?: 'local' | 'virtualenv' | 'uv' | 'conda'
  /** False for `--no-conda`. */
  conda: boolean
  storageDir?: string
  runId?: string
  runName?: string
  parentRunId?: string
  buildImage?: true
  skipImageBuild?: true
}

/** Adds `run`, with the flags of `mlflow run`. */
export function addRunCommand(program: Command): void {
  const each = (value: string, before: string[]) => [...before, value]
  program
    .command('run')
    .helpOption('--help')
    .description('Run an MLflow project from a directory, a git repository or a zip file.')
    .argument('<uri>', 'directory, file://, git URL or .zip, with #subdirectory')
    .option('-e, --entry-point <name>', 'entry point of MLproject, or a .py or .sh file', 'main')
    .option('-v, --version <version>', 'commit, branch or tag of a git project')
    .option('-P, --param-list <name=value>', 'a parameter; may be repeated', each, [])
    .option('-A, --docker-args <name=value>', 'an argument of docker run, or a flag', each, [])
    .addOption(
      new Option('--experiment-name <name>', 'experiment of the run, made when it is new').env(
        'MLFLOW_EXPERIMENT_NAME',
      ),
    )
    .addOption(
      new Option('--experiment-id <id>', 'experiment of the run').env('MLFLOW_EXPERIMENT_ID'),
    )
    .option('-b, --backend <name>', 'where it runs: local, kubernetes, sagemaker', 'local')
    .option('-c, --backend-config <json>', 'settings of the backend: a .json file, or JSON')
    .addOption(
      new Option('--env-manager <how>', 'how the project gets its packages').choices([
        'local',
        'virtualenv',
        'uv',
        'conda',
      ]),
    )
    .option('--no-conda', 'the same as --env-manager local')
    .addOption(
      new Option('--storage-dir <directory>', 'where fetched path parameters go').env(
        'MLFLOW_TMP_DIR',
      ),
    )
    .option('--run-id <id>', 'use this run instead of a new one')
    .option('--run-name <name>', 'name of the run')
    .option('--parent-run-id <id>', 'run that this one is a step of')
    .option('--build-image', 'build a docker image with the project in it')
    .option('--skip-image-build', 'use the image of the project as it is (what happens anyway)')
    .action(run)
}

async function run(uri: string, flags: RunFlags): Promise<void> {
  const parameters = pairs(flags.paramList, 'P')
  const dockerArgs = pairs(flags.dockerArgs, 'A')
  const config = await readConfig(flags.backendConfig)
  const signal = interruptOnSignals()
  const where = trackingUriOf(process.env)
  const { runProject } = await import('@millrace/projects/run-project')
  const { interruptionOf, stoppedEnding } = await import('@millrace/projects/command-run')
  const running = runProject({
    ...flags,
    uri,
    parameters: new Map([...parameters].map(([name, value]) => [name, String(value)])),
    dockerArgs,
    backendConfig: config,
    manager: flags.conda ? flags.envManager : 'local',
    storageDirectory: flags.storageDir,
    buildImage: flags.buildImage === true && flags.skipImageBuild !== true,
    ...where,
    stores: await readStores(process.env),
    backends: await backends(),
    environment: process.env,
    signal,
    log: (line) => process.stderr.write(`millrace: ${line}\n`),
    onOutput: (chunk, stream) => process[stream].write(chunk),
  })
  const ending = await running.catch((error: unknown) => {
    if (signal.aborted) return stoppedEnding(interruptionOf(signal))
    throw error
  })
  const said = ending.reason === undefined ? '' : `: ${ending.reason}`
  const id = 'run' in ending ? ` ${ending.run.run_id}` : ''
  process.stderr.write(`millrace: Run${id} ${ending.status}${said}\n`)
  process.exitCode = ending.exitCode
}

/** `name=value` by name; a docker argument without a value is a flag (3.17 `_user_args_to_dict`). */
function pairs(texts: string[], flag: 'P' | 'A'): Map<string, string | true> {
  const found = new Map<string, string | true>()
  for (const text of texts) {
    const at = text.indexOf('=')
    if (at < 0 && flag === 'P') {
      throw new Error(`Invalid format for -P parameter: '${text}'. Use -P name=value.`)
    }
    const name = at < 0 ? text : text.slice(0, at)
    if (found.has(name)) throw new Error(`Repeated parameter: '${name}'`)
    found.set(name, at < 0 ? true : text.slice(at + 1))
  }
  return found
}

async function readConfig(text: string | undefined): Promise<Record<string, unknown>> {
  if (text === undefined) return {}
  if (!text.endsWith('.json')) return jsonObject(text, '--backend-config')
  const contents = await readFile(text, 'utf8').catch((error: Error) => {
    throw new Error(`The --backend-config file cannot be read: ${error.message}`)
  })
  return jsonObject(contents, text)
}
