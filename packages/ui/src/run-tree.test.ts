import { expect, test } from 'vitest'
import { buildRun } from '../test/build-run.ts'
import { nestRuns } from './run-tree.ts'

const outline = (rows: ReturnType<typeof nestRuns>) =>
  rows.map(({ run, depth }) => '-'.repeat(depth) + run.info.run_id)

test('children stand below their parent in the order they had', () => {
  const runs = [
    buildRun('c2', { parent: 'p' }),
    buildRun('other'),
    buildRun('p'),
    buildRun('c1', { parent: 'p' }),
    buildRun('g', { parent: 'c1' }),
  ]

  expect(outline(nestRuns(runs, new Set()))).toEqual(['other', 'p', '-c2', '-c1', '--g'])
})

test('a child whose parent is not loaded stays in its place', () => {
  const runs = [buildRun('a'), buildRun('orphan', { parent: 'elsewhere' }), buildRun('b')]

  expect(outline(nestRuns(runs, new Set()))).toEqual(['a', 'orphan', 'b'])
})

test('the children of a collapsed run are hidden, and still counted', () => {
  const rows = nestRuns([buildRun('p'), buildRun('c', { parent: 'p' })], new Set(['p']))

  expect(rows).toMatchObject([{ depth: 0, childCount: 1 }])
})

test('a run that names itself as its parent is shown once', () => {
  expect(outline(nestRuns([buildRun('a', { parent: 'a' })], new Set()))).toEqual(['a'])
})
