import type { TuningTrial } from '@millrace/api/sagemaker-pages'
import { expect, test } from 'vitest'
import { bestSoFar, sortTrials } from './best-so-far.ts'

const trial = (name: string, endedMs: number | undefined, objective?: number): TuningTrial => ({
  name,
  status: endedMs === undefined ? 'InProgress' : 'Completed',
  parameters: {},
  createdMs: Number(name),
  ...(endedMs !== undefined && { endedMs }),
  ...(objective !== undefined && { objective }),
})
const trials = [
  trial('1', 40, 3),
  trial('2', 20, 5),
  trial('3', 30, 4),
  trial('4', 25),
  trial('5', undefined),
]
const minimized = { trials, objective: { metric: 'loss', goal: 'Minimize' } } as const

test('the curve follows the order in which trials ended, and never gets worse', () => {
  expect(bestSoFar(minimized)).toEqual({ xs: [1, 2, 3], values: [5, 4, 3], best: [5, 4, 3] })
  const maximized = { trials, objective: { metric: 'score', goal: 'Maximize' } } as const
  expect(bestSoFar(maximized).best).toEqual([5, 5, 5])
})

test('trials are sorted from the best to the worst, those without an objective last', () => {
  expect(sortTrials(minimized).map(({ name }) => name)).toEqual(['1', '3', '2', '5', '4'])
})
