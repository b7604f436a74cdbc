import { expect, test } from 'vitest'
import { cpuList } from './cpu-list.ts'

test.each([
  ['0-3', 2, 0, '0,1'],
  ['0-3', 2, 1, '2,3'],
  ['0-3', 2, 2, '0,1'],
  ['0-1,8', 2, 1, '8,0'],
  ['5', 1, 3, undefined],
  ['0-1', 4, 0, undefined],
])('of %s, %i from the place %i on are %s', (allowed, count, first, list) => {
  expect(cpuList(allowed, count, first)).toBe(list)
})
