import { describe, expect, test } from 'vitest'
import { readTrainingOptions } from './training-options.ts'

const read = (hyperparameters: Record<string, string>) => {
  const { parameters, dockerArgs, ...options } = readTrainingOptions(hyperparameters)
  return {
    ...options,
    parameters: Object.fromEntries(parameters),
    dockerArgs: Object.fromEntries(dockerArgs),
  }
}
const NOTHING = { code: undefined, parameters: {}, dockerArgs: {}, warnings: [] }

describe('hyperparameters', () => {
  test.each<[Record<string, string>, object]>([
    [{ 'sagemaker_mlflow_run_experiment-id': '"2"' }, { experimentId: '2' }],
    [{ sagemaker_mlflow_run_experiment_id: '2' }, { experimentId: '2' }],
    [{ 'sagemaker_mlflow_run_experiment-name': 'a b' }, { experimentName: 'a b' }],
    [{ 'sagemaker_mlflow_run_run-id': '"r"' }, { runId: 'r' }],
    [{ sagemaker_mlflow_run_run_name: 'n' }, { runName: 'n' }],
    [{ 'sagemaker_mlflow_run_entry-point': '"train"' }, { entryPoint: 'train' }],
    [{ sagemaker_mlflow_run_version: '"v1"' }, { version: 'v1' }],
    [{ sagemaker_mlflow_run_backend: 'local' }, { backend: 'local' }],
    [{ 'sagemaker_mlflow_run_backend-config': '{"a": 1}' }, { backendConfig: '{"a": 1}' }],
    [{ 'sagemaker_mlflow_run_env-manager': '"uv"' }, { manager: 'uv' }],
    [{ 'sagemaker_mlflow_run_storage-dir': '/x' }, { storageDirectory: '/x' }],
    [{ 'sagemaker_mlflow_run_no-conda': 'null' }, { manager: 'local' }],
    [{ 'sagemaker_mlflow_run_build-image': 'null' }, { buildImage: true }],
    [{ 'sagemaker_mlflow_run_build-image': 'false' }, {}],
    [{ 'sagemaker_mlflow_run_skip-image-build': 'null' }, {}],
    [
      { 'sagemaker_mlflow_run_docker-args': '["gpus=all", "t"]' },
      { dockerArgs: { gpus: 'all', t: true } },
    ],
    [{ 'sagemaker_mlflow_run_param-list': '"a=b=c"' }, { parameters: { a: 'b=c' } }],
    [{ 'sagemaker_mlflow_run_tracking-uri': '"http://x"' }, { trackingUri: 'http://x' }],
  ])('%j is that option of run', (hyperparameters, options) => {
    expect(read(hyperparameters)).toEqual({ ...NOTHING, ...options })
  })

  test('name the code, as text or as JSON', () => {
    expect(read({ sagemaker_submit_directory: '"s3://b/code.tar.gz"' }).code).toBe(
      's3://b/code.tar.gz',
    )
    expect(read({ sagemaker_submit_directory: 's3://b/code.tar.gz' }).code).toBe(
      's3://b/code.tar.gz',
    )
  })

  test('are else parameters of the project, as they were written', () => {
    const given = { alpha: '0.50', text: '"a b"', raw: 'a b', none: 'null', list: '[1, 2]' }

    expect(read(given).parameters).toEqual({
      alpha: '0.50',
      text: 'a b',
      raw: 'a b',
      none: '',
      list: '[1, 2]',
    })
  })

  test('that SageMaker reserves are not passed on', () => {
    const given = {
      sagemaker_program: '"x.py"',
      sagemaker_region: '"eu-west-1"',
      sagemaker_job_name: '"j"',
      sagemaker_container_log_level: '20',
      _tuning_objective_metric: '"loss"',
      default_user_module_name: '"m"',
    }

    expect(read(given)).toEqual(NOTHING)
  })

  test('by the key of the README are understood with a warning, and the right key counts more', () => {
    const misspelt = { sagemaker_mlflow_experiment_id: '"2"' }

    expect(read(misspelt)).toEqual({
      ...NOTHING,
      experimentId: '2',
      warnings: [
        'Hyperparameter sagemaker_mlflow_experiment_id is taken for ' +
          'sagemaker_mlflow_run_experiment-id; write it that way.',
      ],
    })
    expect(read({ 'sagemaker_mlflow_run_experiment-id': '3', ...misspelt }).experimentId).toBe('3')
  })

  test.each([
    'sagemaker_mlflow_run_exprimentid',
    'sagemaker_mlflow_what',
    'sagemaker_mlflow_run_toString',
  ])('%s is never silent', (key) => {
    expect(read({ [key]: '1' })).toEqual({
      ...NOTHING,
      warnings: [`Hyperparameter ${key} is no option of \`run\` and is not used.`],
    })
  })

  test.each([
    [{ 'sagemaker_mlflow_run_experiment-id': 'null' }, /needs a value/],
    [{ 'sagemaker_mlflow_run_env-manager': 'pip' }, /it takes local, virtualenv, uv, conda/],
    [{ 'sagemaker_mlflow_run_no-conda': 'maybe' }, /is a flag: its value is null, not 'maybe'/],
    [{ 'sagemaker_mlflow_run_docker-args': '1' }, /needs name=value/],
  ])('%j is refused in a sentence', (hyperparameters, sentence) => {
    expect(() => readTrainingOptions(hyperparameters)).toThrow(sentence)
  })
})
