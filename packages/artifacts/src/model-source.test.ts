import { describe, expect, test } from 'vitest'
import { parseLocation } from './location.ts'
import { localSourceRefusal, parseModelSource, unrelatedSourceRefusal } from './model-source.ts'

const policy = { allowedSchemes: [], ownLocations: [] }

test.each([
  ['dummy-source', { kind: 'placeholder' }],
  ['prompt-template', { kind: 'placeholder' }],
  ['runs:/r1/model/x', { kind: 'run', runId: 'r1', path: ['model', 'x'] }],
  ['RUNS:/r1', { kind: 'run', runId: 'r1', path: [] }],
  ['runs:/r1/a%20b/', { kind: 'run', runId: 'r1', path: ['a%20b'] }],
  ['models:/m-123', { kind: 'logged-model', modelId: 'm-123' }],
  ['models:/name/12', { kind: 'version', name: 'name', version: '12' }],
  ['models:/name/Latest', { kind: 'latest', name: 'name' }],
  ['models:/name/Production', { kind: 'stage', name: 'name', stage: 'Production' }],
  ['models:/name@champion', { kind: 'alias', name: 'name', alias: 'champion' }],
  ['models:/a@b@c', { kind: 'alias', name: 'a@b', alias: 'c' }],
])('%s is read as %j', (source, parsed) => {
  expect(parseModelSource(source, policy)).toEqual(parsed)
})

test.each(['/etc', 'file:///etc', 'file:/etc', 'FILE:///etc', 'etc', './x', 'dummy', 'databricks'])(
  '%s is a local path, which the caller decides about',
  (source) => {
    expect(parseModelSource(source, policy)).toEqual({
      kind: 'local',
      location: parseLocation(source),
    })
  },
)

test.each([
  'mlflow-artifacts:/1/r/artifacts',
  's3://b/k',
  's3://b/k/',
  'gs://b/a b',
  'wasbs://c@a/p',
])('%s is a remote location', (source) => {
  expect(parseModelSource(source, policy)).toEqual({
    kind: 'remote',
    location: parseLocation(source),
  })
})

describe("sources refused with MLflow's texts", () => {
  const refusals: Record<string, string[]> = {
    'an absolute path must be provided without relative path references present': [
      's3://b/../k',
      's3://b/./k',
      's3://b',
      's3://b/%00',
      's3://b/k#x',
      's3://b/k#/../x',
      's3://b/k?x=/../y',
      'http://h/%252e%252e/x',
      'mlflow-artifacts:/1/..%2f..%2fx',
      'bogus:/..',
      'C:\\Windows',
      'runs:r',
      'runs:/',
      'runs:/r/../x',
      'runs:/r/./x',
      'runs:/r/%2e%2e/x',
      'runs:/r/a#b',
    ],
    'To use a local path as a model version source, the run_id request parameter has to be': [
      '//proc/self/root',
      '\\\\host\\share',
      '../x',
      '/a/../b',
      '/a/%2e%2e/b',
      '/a\0b',
      'file://host/x',
    ],
    'The model_id request parameter must identify the resource that contains the source.': [
      'models:',
      'models:/',
      'models:m',
      'models:/m/',
      'models:/m/1/2',
      'models:/m@',
      'models:/@a',
      'models:/../1',
      'models:/m/%2e%2e',
    ],
    'The run_id request parameter must identify the resource that contains the source.': [
      'runs://profile/r/a',
    ],
    'Registered model sources must use the active model registry.': ['models://profile/m/1'],
  }

  test.each(Object.entries(refusals))('%s', (text, sources) => {
    for (const source of sources) {
      expect(() => parseModelSource(source, policy), source).toThrow(
        expect.objectContaining({
          code: 'INVALID_PARAMETER_VALUE',
          message: expect.stringContaining(`Invalid model version source: '${source}'. `),
        }),
      )
      expect(() => parseModelSource(source, policy), source).toThrow(text)
    }
  })

  test.each(['http://h/x', 'https://h/x', 'ftp://h/x', 'hdfs:/x', 'dbfs:/x'])(
    '%s, unless the scheme is allowed',
    (source) => {
      const [scheme = ''] = source.split(':')

      expect(() => parseModelSource(source, policy)).toThrow(
        `'source' cannot use the '${scheme}' scheme: `,
      )
      const allowed = parseModelSource(source, { ...policy, allowedSchemes: [scheme] })
      expect(allowed.kind).toBe('remote')
    },
  )
})

test('the refusals left to the caller name the source and the parameter', () => {
  expect(localSourceRefusal('/x', 'model_id').message).toBe(
    "Invalid model version source: '/x'. To use a local path as a model version source, the " +
      'model_id request parameter has to be specified and the local path has to be contained ' +
      'within the artifact directory of the run specified by the model_id.',
  )
  expect(unrelatedSourceRefusal('runs:/r', 'run_id').message).toBe(
    "Invalid model version source: 'runs:/r'. The run_id request parameter must identify the " +
      'resource that contains the source.',
  )
})
