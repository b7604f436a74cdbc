#!/usr/local/bin/node
// What SageMaker starts as `serve`: the model of /opt/ml/model on the port that it names.
const { MILLRACE_ENV_MANAGER, MLFLOW_MODELS_WORKERS, SAGEMAKER_BIND_TO_PORT } = process.env

process.execve(
  process.execPath,
  [
    process.execPath,
    '/opt/millrace/packages/cli/bin/millrace.cjs',
    'models',
    'serve',
    ...['--model-uri', '/opt/ml/model'],
    ...['--host', '0.0.0.0'],
    ...['--port', SAGEMAKER_BIND_TO_PORT || '8080'],
    ...['--workers', MLFLOW_MODELS_WORKERS || '1'],
    ...['--env-manager', MILLRACE_ENV_MANAGER || 'uv'],
  ],
  process.env,
)
