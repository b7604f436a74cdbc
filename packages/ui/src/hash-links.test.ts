import { expect, test } from 'vitest'
import { pathOfHash } from './hash-links.ts'

test.each([
  ['#/experiments/1/runs/abc', '/experiments/1/runs/abc'],
  ['#/experiments/1/runs/abc/artifacts', '/experiments/1/runs/abc?tab=artifacts'],
  [
    '#/experiments/1/runs/abc/artifacts/a%20b/c.txt',
    '/experiments/1/runs/abc?tab=artifacts&path=a%20b%2Fc.txt',
  ],
  ['#/experiments/1/runs/abc/model-metrics', '/experiments/1/runs/abc'],
  ['#/experiments/7', '/experiments/7'],
  ['#/experiments/7/traces', '/experiments/7'],
  ['#/compare-runs?runs=["a","b"]&experiments=["1"]', '/compare?runs=a,b'],
  ['#/compare-runs?runs=oops', '/compare?runs='],
  ['#/models/my-model/versions/3', '/models/my-model/versions/3'],
  ['#/models/my-model', '/models/my-model'],
  ['#/', '/experiments'],
])('the MLflow link %s leads to %s', (hash, path) => {
  expect(pathOfHash(hash)).toBe(path)
})

test.each([[''], ['#section']])('the hash "%s" is no link', (hash) => {
  expect(pathOfHash(hash)).toBeUndefined()
})
