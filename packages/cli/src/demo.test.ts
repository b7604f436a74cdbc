import { inflateSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { churnProject } from './demo-churn.ts'
import { demandProject } from './demo-demand.ts'
import { digitsProject } from './demo-digits.ts'
import { languageProject } from './demo-language.ts'
import { confusionMatrixPng } from './demo-png.ts'
import type { DemoRun } from './demo-run.ts'

const projects = () => [digitsProject(), churnProject(), languageProject(), demandProject()]
const withChildren = (run: DemoRun): DemoRun[] => [
  run,
  ...(run.children ?? []).flatMap(withChildren),
]
const allRuns = () => projects().flatMap(({ runs }) => runs.flatMap(withChildren))

test('the demo is the same every time', () => {
  // Compared as texts: looking through a million numbers one by one takes a minute.
  expect(JSON.stringify(projects()) === JSON.stringify(projects())).toBe(true)
})

test('the demo has about a hundred runs in all states, some nested', () => {
  const runs = allRuns()

  expect(runs.length).toBeGreaterThan(90)
  expect(runs.length).toBeLessThan(120)
  expect(new Set(runs.map(({ status }) => status))).toEqual(
    new Set(['FINISHED', 'FAILED', 'KILLED', 'RUNNING']),
  )
  expect(runs.filter(({ children }) => children?.length).length).toBe(3)
})

test('accuracies stay between none and all', () => {
  const accuracies = allRuns()
    .flatMap(({ curves }) => curves)
    .filter(({ key }) => key.endsWith('/accuracy'))
    .flatMap(({ values }) => values)

  expect(accuracies.length).toBeGreaterThan(1000)
  expect(accuracies.filter((value) => value < 0 || value > 1)).toEqual([])
})

test('pictures are PNGs whose pixels are what was drawn', () => {
  const png = Buffer.from(
    confusionMatrixPng([
      [5, 0],
      [0, 5],
    ]),
  )

  expect(png.subarray(1, 4).toString()).toBe('PNG')
  expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([72, 72])
  const dataLength = png.readUInt32BE(33)
  const rows = inflateSync(png.subarray(41, 41 + dataLength))
  expect(rows.length).toBe(72 * (1 + 72 * 3))
  const pixel = (x: number, y: number) => [...rows.subarray(y * 217 + 1 + x * 3).subarray(0, 3)]
  expect(pixel(3, 3)).toEqual([12, 91, 142])
  expect(pixel(40, 3)).toEqual([247, 251, 252])
})
