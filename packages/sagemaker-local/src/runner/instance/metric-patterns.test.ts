import { mkdtempSync, openSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compilePattern, createMetricReader } from './metric-patterns.ts'

function reader(Regex: string) {
  const file = join(mkdtempSync(join(tmpdir(), 'millrace-metrics-')), 'metrics.jsonl')
  const said: string[] = []
  const read = createMetricReader([{ Name: 'loss', Regex }], openSync(file, 'a'), (line) =>
    said.push(line),
  )
  const values = () =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { value: number }).value)
  return { read, values, said }
}

test.each([
  ['loss=(.*?);', ['loss=0.5;', 'x', 'loss=1e-3;'], [0.5, 0.001]],
  ['(?i)LOSS: (?P<v>[0-9.]+)', ['Loss: 2.5'], [2.5]],
  ['loss=(.*)', ['loss=nan', 'loss=', 'loss=high', 'loss=-1'], [-1]],
])('%s finds the numbers in printed lines', (regex, lines, found) => {
  const { read, values } = reader(regex)
  read(lines, 1)
  expect(values()).toEqual(found)
})

test('a pattern that takes too long is given up, and the others go on', () => {
  const { read, said } = reader('(a+)+\\1$')
  const startedMs = performance.now()

  read([`${'a'.repeat(60)}!`], 1)
  read([`${'a'.repeat(60)}!`], 2)

  expect(performance.now() - startedMs).toBeLessThan(5_000)
  expect(said).toEqual([expect.stringContaining('metric loss takes too long')])
})

test.each(['(', '[', '(?<=a)*'])('the pattern %s is refused', (pattern) => {
  expect(() => compilePattern(pattern)).toThrow(SyntaxError)
})
