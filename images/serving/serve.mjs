#!/usr/local/bin/node
// What SageMaker starts as `serve`: the model of /opt/ml/model on the port that it names.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const { MILLRACE_ENV_MANAGER, MLFLOW_MODELS_WORKERS, SAGEMAKER_BIND_TO_PORT } = process.env
const FOLDER = '/opt/ml/model'

process.execve(
  process.execPath,
  [
    process.execPath,
    '/opt/millrace/packages/cli/bin/millrace.cjs',
    'models',
    'serve',
    ...['--model-uri', modelFolder()],
    ...['--host', '0.0.0.0'],
    ...['--port', SAGEMAKER_BIND_TO_PORT || '8080'],
    ...['--workers', MLFLOW_MODELS_WORKERS || '1'],
    ...['--env-manager', MILLRACE_ENV_MANAGER || 'uv'],
  ],
  process.env,
)

/** A model, or what a training job of a project has left, with one model among the run's artifacts. */
function modelFolder() {
  if (existsSync(join(FOLDER, 'MLmodel'))) return FOLDER
  const artifacts = join(FOLDER, 'mlflow_run_artifacts')
  const files = existsSync(artifacts) ? readdirSync(artifacts, { recursive: true }) : []
  const models = files.filter((file) => /(^|\/)MLmodel$/.test(file)).sort()
  if (models.length === 1) return join(artifacts, models[0], '..')
  const found = models.length > 1 ? `more than one model (${models.join(', ')})` : 'no model'
  process.stderr.write(
    `There is ${found} in ${FOLDER}: pack the folder of one that has an MLmodel file.\n`,
  )
  process.exit(1)
}
