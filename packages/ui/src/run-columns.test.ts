import { expect, test } from 'vitest'
import { buildRun } from '../test/build-run.ts'
import { knownColumns, mainMetric, parseColumn, varyingColumns } from './run-columns.ts'

const ids = (columns: { id: string }[]) => columns.map(({ id }) => id)

test('params that are the same in all runs are left out, metrics that runs are judged by lead', () => {
  const runs = ['a', 'b'].map((id, index) =>
    buildRun(id, {
      metrics: { 'train/loss': index, 'val/accuracy': 0.9 + index / 100, 'system/cpu': index },
      params: { lr: String(index), epochs: '40' },
    }),
  )

  expect(ids(varyingColumns(runs))).toEqual([
    'metrics.val/accuracy',
    'metrics.train/loss',
    'params.lr',
    'attributes.start_time',
    'attributes.duration',
  ])
})

test('a single run shows its params although nothing can vary', () => {
  const columns = varyingColumns([buildRun('a', { params: { epochs: '40' } })])

  expect(ids(columns)).toContain('params.epochs')
})

test('a param with one value per run gives way to params with a few values', () => {
  const runs = Array.from({ length: 20 }, (_, index) => {
    const few = Object.fromEntries(
      ['a', 'b', 'c', 'd', 'e', 'f'].map((key) => [key, String(index % 3)]),
    )
    return buildRun(`r${index}`, { params: { seed: String(index), ...few } })
  })

  expect(ids(varyingColumns(runs))).not.toContain('params.seed')
})

test('own tags can become columns, those of MLflow cannot', () => {
  const run = buildRun('a', { tags: { reviewed: 'yes', 'mlflow.user': 'mira' } })

  expect(ids(knownColumns([run]))).toContain('tags.reviewed')
  expect(ids(knownColumns([run]))).not.toContain('tags.mlflow.user')
})

test.each([
  ['metrics.val/loss', { kind: 'metric', key: 'val/loss' }],
  ['params.model.size', { kind: 'param', key: 'model.size' }],
  ['nonsense', undefined],
  ['metrics.', undefined],
])('the column id %s is read', (id, expected) => {
  const column = parseColumn(id)

  expect(column && { kind: column.kind, key: column.key }).toEqual(expected)
})

test('the main metric is one of validation, not of training or of the machine', () => {
  const run = buildRun('a', {
    metrics: { 'train/accuracy': 1, 'val/loss': 1, 'val/f1': 1, 'system/gpu': 1, fit_seconds: 3 },
  })

  expect(mainMetric([run])).toBe('val/f1')
})
