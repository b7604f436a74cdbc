import type { Command } from 'commander'
import { backends, readStores, trackingUriOf } from './run-settings.ts'
import { interruptOnSignals } from './run-signals.ts'

/** Adds `train`, which a container that SageMaker starts for a training job is started with. */
export function addTrainCommand(program: Command): void {
  program
    .command('train')
    .helpOption('--help')
    .description('Inside a SageMaker training container: run the project submitted with the job.')
    .action(train)
}

async function train(): Promise<void> {
  const { env } = process
  const signal = interruptOnSignals()
  const training = await import('@millrace/projects/training-container/train')
  const endpoint = env['S3_ENDPOINT_URL']
  const ending = await training.train({
    directory: env['SAGEMAKER_BASE_DIR'] || '/opt/ml',
    trackingOf: (uri) => {
      const named = uri ?? env['MLFLOW_TRACKING_URI']
      if (named) return trackingUriOf({ ...env, MLFLOW_TRACKING_URI: named })
      throw new Error(
        'There is no tracking server to log to: set MLFLOW_TRACKING_URI in the image or in the ' +
          "job's environment, or give hyperparameter sagemaker_mlflow_run_tracking-uri.",
      )
    },
    stores: await readStores(endpoint ? { MLFLOW_S3_ENDPOINT_URL: endpoint, ...env } : env),
    backends: await backends(),
    environment: env,
    signal,
    log: (line) => process.stderr.write(`millrace: ${line}\n`),
    onOutput: (chunk, stream) => process[stream].write(chunk),
  })
  process.exitCode = ending.exitCode
}
