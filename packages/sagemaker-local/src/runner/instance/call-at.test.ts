import { afterEach, expect, test, vi } from 'vitest'
import { callAt } from './call-at.ts'

const DAY_MS = 86_400_000

afterEach(() => vi.useRealTimers())

test.each([1, 24, 28, 100])('what is %i days away happens then and not before', (days) => {
  vi.useFakeTimers()
  let calls = 0
  callAt(Date.now() + days * DAY_MS, () => (calls += 1))

  vi.advanceTimersByTime(days * DAY_MS - 1)
  expect(calls).toBe(0)
  vi.advanceTimersByTime(1)
  expect(calls).toBe(1)
})
