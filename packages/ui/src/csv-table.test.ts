import { expect, test } from 'vitest'
import { parseCsv } from './csv-table.ts'

test('quotes hold separators, line ends and quotes', () => {
  expect(parseCsv('a,b\r\n"x, y","say ""hi""\nthere"\r\n', ',')).toEqual({
    header: ['a', 'b'],
    rows: [['x, y', 'say "hi"\nthere']],
  })
})

test('a last line without an end counts, empty lines do not', () => {
  expect(parseCsv('a\tb\n\n1\t\n2\t3', '\t').rows).toEqual([
    ['1', ''],
    ['2', '3'],
  ])
})
