#!/usr/local/bin/node
// What SageMaker starts as `train`: the MLflow project that was submitted with the job. An image
// built with `--code` has a program of its own in the place of this one.
process.execve(
  process.execPath,
  [process.execPath, '/opt/millrace/packages/cli/bin/millrace.cjs', 'train'],
  process.env,
)
