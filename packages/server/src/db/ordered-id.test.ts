import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { orderedId } from './ordered-id.ts'

test('an id is a UUID of version 7 that tells the time', () => {
  const before = Date.now()
  const id = orderedId()
  expect(id).toMatch(/^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/)
  const time = Number.parseInt(id.slice(0, 12), 16)
  expect(time).toBeGreaterThanOrEqual(before)
  expect(time).toBeLessThanOrEqual(Date.now())
})

test('a later id sorts after an earlier one, and ids of one moment differ', async () => {
  const together = Array.from({ length: 10_000 }, orderedId)
  expect(new Set(together).size).toBe(together.length)
  await wait(2)
  expect(orderedId() > (together.at(-1) ?? '')).toBe(true)
})
