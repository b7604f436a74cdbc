import type { Run } from '@millrace/api/runs'
import { expect, test } from 'vitest'
import { buildRun } from '../test/build-run.ts'
import { mergeHead } from './merge-head.ts'

const runsNamed = (names: string) => Array.from(names, (name) => buildRun(name))
const page = (names: string, hasMore: boolean) => ({ runs: runsNamed(names), hasMore })
const namesOf = (runs: readonly Run[]) => runs.map(({ info }) => info.run_id).join('')

test('a new run comes first, and the run it pushed off the fresh page stays', () => {
  expect(namesOf(mergeHead(page('xab', true), [page('abc', true), page('def', false)]))).toBe(
    'xabcdef',
  )
})

test('a run that is gone from the fresh page is gone', () => {
  expect(namesOf(mergeHead(page('acd', true), [page('abc', true), page('def', false)]))).toBe(
    'acdef',
  )
})

test('a fresh page without a next one is the whole list', () => {
  expect(namesOf(mergeHead(page('a', false), [page('abc', true), page('def', false)]))).toBe('a')
})

test('a run is never listed twice when it moved to the front', () => {
  expect(namesOf(mergeHead(page('eab', true), [page('abc', true), page('def', false)]))).toBe(
    'eabcdf',
  )
})

test('the fresh version of a run replaces the loaded one', () => {
  const fresh = buildRun('a', { metrics: { loss: 0.1 } })

  expect(mergeHead({ runs: [fresh], hasMore: true }, [page('ab', true)])[0]).toBe(fresh)
})
