import { expect, test } from 'vitest'
import { colourOf, styleSeries } from './series-colours.ts'

const ids = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`)

test('twelve runs drawn together have twelve colours', () => {
  const styles = [...styleSeries(ids(12, 'twelve-')).values()]

  expect(new Set(styles.map(({ colour }) => colour)).size).toBe(12)
  expect(styles.every(({ dash }) => dash === 0)).toBe(true)
})

test('where colours run out, dashes tell the runs apart', () => {
  const styles = [...styleSeries(ids(24, 'many-')).values()]

  expect(new Set(styles.map(({ colour, dash }) => `${colour} ${dash}`)).size).toBe(24)
})

test('a run that was drawn keeps its colour in other company', () => {
  const first = styleSeries(['kept', 'b', 'c']).get('kept')

  expect(styleSeries([...ids(9, 'later-'), 'kept']).get('kept')?.colour).toBe(first?.colour)
  expect(colourOf('kept')).toBe(first?.colour)
})
