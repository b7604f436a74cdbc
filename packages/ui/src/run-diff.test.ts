import { expect, test } from 'vitest'
import { buildRun } from '../test/build-run.ts'
import { changeFrom, compareRuns, formatShare } from './run-diff.ts'

test('params that differ are told from those that are the same, also when written differently', () => {
  const runs = [
    buildRun('a', { params: { lr: '0.10', model: 'cnn', only: 'x' } }),
    buildRun('b', { params: { lr: '0.1', model: 'vit' } }),
  ]

  expect(compareRuns(runs, 'params')).toEqual([
    { key: 'lr', texts: ['0.10', '0.1'], differs: false },
    { key: 'model', texts: ['cnn', 'vit'], differs: true },
    { key: 'only', texts: ['x', undefined], differs: true },
  ])
})

test('tags of MLflow are not compared', () => {
  const runs = [buildRun('a', { tags: { 'mlflow.user': 'x', team: 'y' } }), buildRun('b')]

  expect(compareRuns(runs, 'tags').map(({ key }) => key)).toEqual(['team'])
})

test('metrics that runs are judged by come first', () => {
  const run = buildRun('a', { metrics: { 'system/cpu': 1, lr: 1, 'val/loss': 1 } })

  expect(compareRuns([run], 'metrics').map(({ key }) => key)).toEqual([
    'val/loss',
    'lr',
    'system/cpu',
  ])
})

test.each([
  ['accuracy', 0.5, 0.6, { share: expect.closeTo(0.2), isBetter: true }],
  ['loss', 2, 3, { share: 0.5, isBetter: false }],
  ['lr', 1, 2, { share: 1, isBetter: undefined }],
  ['loss', 0, 1, { share: undefined, isBetter: false }],
  ['loss', 1, 1, undefined],
  ['loss', 1, Number.NaN, undefined],
])('%s from %d to %d', (key, baseline, value, change) => {
  expect(changeFrom(key, baseline, value)).toEqual(change)
})

test.each([
  [0.0311, '+3.1 %'],
  [-0.0002, '−0.02 %'],
  [4, '+400 %'],
])('a share of %d reads %s', (share, text) => {
  expect(formatShare(share)).toBe(text)
})
