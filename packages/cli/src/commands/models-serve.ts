import { once } from 'node:events'
import { type Command, Option } from 'commander'
import {
  abortOnSignal,
  addModelOptions,
  type ModelFlags,
  modelRuntime,
  runtimeOf,
  trackingOf,
  wholeNumber,
} from './models-options.ts'

interface ServeFlags extends ModelFlags {
  port: number
  host: string
  timeout: number
  workers: number
  bodyLimit: number
  queueLimit: number
  enableMlserver?: true
}

/** Adds `models serve`. */
export function addModelsServe(models: Command): void {
  addModelOptions(models.command('serve'))
    .description('Answer scoring requests over HTTP, as `mlflow models serve` does.')
    .addOption(
      new Option('-p, --port <port>', 'port to listen on')
        .env('MLFLOW_PORT')
        .argParser(wholeNumber(0, 65_535))
        .default(5000),
    )
    .addOption(new Option('-h, --host <host>', 'address').env('MLFLOW_HOST').default('127.0.0.1'))
    .addOption(
      new Option('-t, --timeout <seconds>', 'longest time for a request')
        .env('MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT')
        .argParser(wholeNumber(1, 86_400))
        .default(60),
    )
    .addOption(
      new Option('-w, --workers <count>', 'processes that hold the model')
        .env('MLFLOW_MODELS_WORKERS')
        .argParser(wholeNumber(1, 256))
        .default(1),
    )
    .addOption(modelRuntime())
    .option('--body-limit <MiB>', 'largest request', wholeNumber(1, 2_048), 100)
    .option('--queue-limit <count>', 'requests that may wait', wholeNumber(1, 100_000), 1_000)
    .addOption(new Option('--enable-mlserver').hideHelp())
    .action(serve)
}

async function serve(flags: ServeFlags): Promise<void> {
  if (flags.enableMlserver) {
    throw new Error('--enable-mlserver is not supported: Millrace serves the model itself.')
  }
  const signal = abortOnSignal()
  const runtime = runtimeOf(flags, signal)
  const tracking = trackingOf(process.env)
  const { serveModel } = await import('@millrace/scoring/serve-model')
  const server = await serveModel({
    ...runtime,
    modelUri: flags.modelUri,
    tracking,
    host: flags.host,
    port: flags.port,
    workers: flags.workers,
    timeoutMs: flags.timeout * 1_000,
    bodyBytesMax: flags.bodyLimit * 2 ** 20,
    queueMax: flags.queueLimit,
    onOutput: (chunk) => process.stderr.write(chunk),
  })
  const versions = server.pool.versions
  process.stdout.write(
    `${flags.modelUri} answers at ${server.url}/invocations as MLflow ${versions?.mlflow} does, on ` +
      `${versions?.runtime} in ${flags.workers} worker(s). Ctrl+C stops it.\n`,
  )
  if (!signal.aborted) await once(signal, 'abort')
  await server.close()
}
