import { describe, expect, test } from 'vitest'
import { readCompareSearch } from './pages/compare/compare-search.ts'
import { readRunsSearch } from './pages/runs/runs-search.ts'
import { orderBy } from './run-order.ts'
import { parseUrlSearch, stringifyUrlSearch } from './url-search.ts'

const roundTrip = (search: Parameters<typeof stringifyUrlSearch>[0]) =>
  readRunsSearch(parseUrlSearch(stringifyUrlSearch(search)))

describe('the state of the runs page', () => {
  test('survives being a URL, odd keys included', () => {
    const search = {
      filter: "metrics.`val/loss` < 0.1 and params.name = 'a&b=c'",
      sort: '-metrics.val/loss',
      columns: ['metrics.a,b', 'params.x y'],
      selected: 'r1,r2',
      view: 'deleted',
      layout: 'charts',
      nesting: 'flat',
      drawn: 30,
      x: 'time',
      smooth: 60,
      log: 'y',
    } as const

    expect(roundTrip({ ...search })).toEqual(search)
  })

  test('one column is a list too', () => {
    expect(roundTrip({ columns: ['params.lr'] })).toEqual({ columns: ['params.lr'] })
  })

  test('what makes no sense is left out', () => {
    const search = '?sort=bogus&drawn=-4&smooth=x&view=all&layout=&selected=,'

    expect(readRunsSearch(parseUrlSearch(search))).toEqual({})
  })

  test('reading a state that was read before changes nothing', () => {
    const once = readRunsSearch(parseUrlSearch('?columns=params.lr&smooth=5&selected=a,b,a'))

    expect(readRunsSearch({ ...once })).toEqual(once)
  })
})

test('runs to compare are given by commas or by repeating the name', () => {
  expect(readCompareSearch(parseUrlSearch('?runs=a,b&runs=c'))).toEqual({ runs: 'a,b,c' })
})

test.each([
  ['-attributes.start_time', ['attributes.start_time DESC']],
  ['metrics.val/loss', ['metrics.`val/loss` ASC']],
  ['-params.a`b', ['params."a`b" DESC']],
  ['attributes.duration', undefined],
  ['bogus', undefined],
])('the sort %s asks the server for %j', (sort, expected) => {
  expect(orderBy(sort)).toEqual(expected)
})
