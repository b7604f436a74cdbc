import { expect, test } from 'vitest'
import { MaintenancePace } from './maintenance-pace.ts'

test('each run that is due gets one step in an interval, however often it is written to', () => {
  const pace = new MaintenancePace(1000, 0)
  expect(pace.isDue(999)).toBe(false)

  let steps = 0
  for (let now = 1000; now < 2000 && pace.isDue(now); now += 10) {
    steps++
    pace.took(3) // Writes go on: three runs are due after every step.
  }
  expect(steps).toBe(4)
  expect(pace.isDue(1999)).toBe(false)
  expect(pace.isDue(2000)).toBe(true)
})

test('nothing more is taken along when nothing is left, or the step failed', () => {
  const pace = new MaintenancePace(1000, 0)
  expect(pace.isDue(1000)).toBe(true)
  pace.took(0)
  expect(pace.isDue(1001)).toBe(false)
})
