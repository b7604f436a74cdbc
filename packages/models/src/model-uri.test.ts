import { describe, expect, test } from 'vitest'
import { parseModelUri } from './model-uri.ts'

test.each([
  ['./model', { kind: 'directory', path: './model' }],
  ['../model', { kind: 'directory', path: '../model' }],
  ['/srv/models/x y', { kind: 'directory', path: '/srv/models/x y' }],
  ['file:///srv/a%20b', { kind: 'directory', path: '/srv/a b' }],
  ['models:/iris/3', { kind: 'version', name: 'iris', version: '3' }],
  ['models:/iris/latest', { kind: 'latest', name: 'iris' }],
  ['models:/iris/Production', { kind: 'stage', name: 'iris', stage: 'Production' }],
  ['models:/iris@champion', { kind: 'alias', name: 'iris', alias: 'champion' }],
  ['models:/a@b@champion', { kind: 'alias', name: 'a@b', alias: 'champion' }],
  ['models:/m-0123abc', { kind: 'logged-model', modelId: 'm-0123abc' }],
  ['runs:/0123/model', { kind: 'run', runId: '0123', path: ['model'] }],
  ['runs:/0123/a/b', { kind: 'run', runId: '0123', path: ['a', 'b'] }],
  ['runs:/0123', { kind: 'run', runId: '0123', path: [] }],
  ['s3://bucket/key', { kind: 'location', location: { scheme: 's3', bucket: 'bucket' } }],
  ['mlflow-artifacts:/1/x', { kind: 'location', location: { scheme: 'mlflow-artifacts' } }],
])('%s', (uri, parsed) => {
  expect(parseModelUri(uri)).toMatchObject(parsed)
})

describe('refused is', () => {
  test.each([
    ['', /Invalid model URI/],
    ['models:/', /Not a proper models:\/ URI: models:\/\. Models URIs must be of the form/],
    ['models:/iris/', /Not a proper models:\/ URI/],
    ['models:/iris@', /Not a proper models:\/ URI/],
    ['models:/iris/1/2', /Not a proper models:\/ URI/],
    ['models:/../x', /Not a proper models:\/ URI/],
    ['runs:/', /Not a proper runs:\/ URI/],
    ['runs:/0123/../../x', /Not a proper runs:\/ URI/],
    ['runs:/0123/%2e%2e/x', /Not a proper runs:\/ URI/],
    ['file://host/x', /names no file of this machine/],
    ['s3://bucket/../x', /Invalid artifact location/],
  ])('%s', (uri, message) => {
    expect(() => parseModelUri(uri)).toThrow(message)
  })
})
