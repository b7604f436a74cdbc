import { parseTrackingUri, type TrackingServer } from '@millrace/models/tracking-server'
import type { RuntimeOptions } from '@millrace/scoring/model-runtime'
import { type Command, InvalidArgumentError, Option } from 'commander'

/** The options that all commands about a model's environment have, named as in `mlflow models`. */
export interface ModelFlags {
  modelUri: string
  envManager: RuntimeOptions['manager']
  /** False for `--no-conda`. */
  conda: boolean
  installMlflow?: true
  runtime?: NonNullable<RuntimeOptions['runtime']>
}

/** Adds the model and how its environment is made. */
export function addModelOptions(command: Command): Command {
  return command
    .helpOption('--help')
    .allowExcessArguments(false)
    .requiredOption(
      '-m, --model-uri <uri>',
      'models:/name/version, models:/name@alias, models:/name/stage, models:/m-id, runs:/id/path, ' +
        's3://bucket/path or a directory; MLFLOW_TRACKING_URI names the server',
    )
    .addOption(environmentManager())
    .option('--no-conda', 'the same as --env-manager local')
    .option('--install-mlflow', "install the model's MLflow even if its requirements lack it")
}

/** What runs a model. */
export function modelRuntime(): Option {
  return new Option(
    '--runtime <which>',
    'what runs the model: onnx takes its ONNX format, without Python; auto does where it can',
  )
    .env('MILLRACE_MODEL_RUNTIME')
    .choices(['auto', 'python', 'onnx'])
    .default('python')
}

/** How a model gets its packages. */
export function environmentManager(): Option {
  return new Option('--env-manager <how>', 'how the model gets its packages')
    .choices(['local', 'virtualenv', 'uv', 'conda'])
    .default('virtualenv')
}

/** What the flags say about the environment. */
export function runtimeOf(
  flags: Pick<ModelFlags, 'envManager' | 'conda' | 'installMlflow' | 'runtime'>,
  signal: AbortSignal,
): RuntimeOptions {
  return {
    manager: flags.conda ? flags.envManager : 'local',
    installMlflow: flags.installMlflow === true,
    runtime: flags.runtime ?? 'python',
    environment: process.env,
    signal,
    log: (line) => process.stderr.write(`millrace: ${line}\n`),
  }
}

/** The tracking server of the environment, if it names one. */
export function trackingOf(environment: NodeJS.ProcessEnv): TrackingServer | undefined {
  const { MLFLOW_TRACKING_URI, MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD } = environment
  if (!MLFLOW_TRACKING_URI) return undefined
  return parseTrackingUri(MLFLOW_TRACKING_URI, {
    username: MLFLOW_TRACKING_USERNAME,
    password: MLFLOW_TRACKING_PASSWORD,
    token: environment['MLFLOW_TRACKING_TOKEN'],
  })
}

/** A parser of whole numbers from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
  }
}

/** Aborts on the first SIGTERM or SIGINT; the second ends the process at once. */
export function abortOnSignal(): AbortSignal {
  const controller = new AbortController()
  const stop = () => {
    if (controller.signal.aborted) process.exit(1)
    controller.abort(new Error('stopped'))
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  return controller.signal
}
