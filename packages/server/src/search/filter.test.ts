import { ApiError } from '@millrace/api/errors'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { filters, orders } from './arbitrary-searches.ts'
import { type Grammar, parseFilter } from './filter.ts'
import { experimentGrammar } from './grammar-experiments.ts'
import { loggedModelGrammar } from './grammar-logged-models.ts'
import { modelVersionGrammar, registeredModelGrammar } from './grammar-registry.ts'
import { runGrammar } from './grammar-runs.ts'
import {
  parseExperimentOrderBy,
  parseLoggedModelOrderBy,
  parseModelVersionOrderBy,
  parseRegisteredModelOrderBy,
  parseRunOrderBy,
} from './order-by.ts'

const grammars: Record<string, Grammar> = {
  runs: runGrammar,
  experiments: experimentGrammar,
  'registered models': registeredModelGrammar,
  'model versions': modelVersionGrammar,
  'logged models': loggedModelGrammar,
}

const WORDS = (
  'metrics params.a tags name run_id attributes.name status . , AND or NOT IN is NULL LIKE ilike ' +
  `= != > <> ; ( ) ' " \` 1 -2.5 1e9 \\ -- /* é 💥`
).split(' ')

function refusal(parse: () => unknown): string {
  try {
    parse()
  } catch (error) {
    if (error instanceof ApiError && error.code === 'INVALID_PARAMETER_VALUE') return error.message
    throw error
  }
  return 'accepted'
}

describe('parseFilter', () => {
  test.each([
    ['metrics.`val/loss` >= -1.5e3', { kind: 'metric', key: 'val/loss', value: -1500 }],
    ['start_time > 9007199254740993', { key: 'start_time', value: 9007199254740993n }],
    ["params.a.b.c LIKE '50%'", { kind: 'param', key: 'a.b.c', comparator: 'LIKE', value: '50%' }],
    ["tags.x = 'it''s \\'", { kind: 'tag', type: 'text', value: "it''s \\" }],
    ['tags."a.b" is not null', { key: 'a.b', comparator: 'IS NOT NULL', value: null }],
    ['run_id not in (\'a\', "b",)', { type: 'list', comparator: 'NOT IN', value: ['a', 'b'] }],
    ["attr.`Run Name` ilike 'x'", { kind: 'attribute', key: 'run_name', comparator: 'ILIKE' }],
    ["dataset.context = 'eval'", { kind: 'dataset', key: 'context', type: 'text' }],
  ])('reads %s', (filter, expected) => {
    expect(parseFilter(filter, runGrammar)).toEqual([expect.objectContaining(expected)])
  })

  test.each([
    [
      'metrics.acc > 0.5 OR x',
      /^Invalid clause\(s\) in filter string: 'OR', 'x' \(at character 19\)$/,
    ],
    ["params.a = 'x' AND foo = 'y'", /^Invalid attribute key 'foo' .* \(at character 20\)$/],
    ["metrics.acc > 'high'", /^Expected numeric value .* Found 'high' \(at character 15\)$/],
    ["tags.a ~ 'x'", /^Invalid comparator '~' not one of .* \(at character 8\)$/],
    ["run_id IN ('a', 7)", /^While parsing a list in the query, .*: 7 \(at character 17\)$/],
    ["tags.a = 'x\0'", /^Invalid filter: it contains a NUL character\.$/],
  ])('says where the mistake in %j is', (filter, message) => {
    expect(refusal(() => parseFilter(filter, runGrammar))).toMatch(message)
  })

  test('names are looked up as written, never on an object', () => {
    for (const name of ['constructor', '__proto__', 'toString.x', 'constructor.name']) {
      for (const grammar of Object.values(grammars)) {
        const message = refusal(() => parseFilter(`${name} = 'x'`, grammar))
        expect(message).toMatch(/^Invalid (attribute key|entity type)/)
      }
    }
  })

  test.each(Object.entries(grammars))('of %s refuses any text or takes it', (_entity, grammar) => {
    const words = fc.constantFrom(...WORDS, '\0', "'x'", '"y"', '`z`')
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.tuple(fc.array(words), fc.constantFrom('', ' ')).map(([parts, gap]) => parts.join(gap)),
      filters.map((filter) => filter.replace(/[a-z]/, "'")),
      filters,
    )
    fc.assert(
      fc.property(texts, (text) => {
        refusal(() => parseFilter(text, grammar))
      }),
      { numRuns: 1500 },
    )
  })

  const hostile: Record<string, string> = {
    'ten thousand clauses': Array(10_000).fill('metrics.a > 1').join(' AND '),
    'a million clauses': Array(1_000_000).fill('a=1').join(' '),
    'three hundred clauses': Array(300).fill('metrics.a > 1').join(' AND '),
    'nested brackets': `run_id IN ${'('.repeat(50_000)}'a'${')'.repeat(50_000)}`,
    'brackets that never close': '('.repeat(100_000),
    'brackets that never open': ')'.repeat(100_000),
    'quotes that never close': `params.a = '${'"`'.repeat(50_000)}`,
    'one quote after another': "'".repeat(99_999),
    'doubled quotes': `params.a = '${"''".repeat(50_000)}" `,
    'a name of dots': '.'.repeat(100_000),
    'a name with many parts': `${'a.'.repeat(100_000)} = 1`,
    'digits without end': `metrics.a > ${'9'.repeat(100_000)}.${'9'.repeat(100_000)}x`,
    'an exponent without end': `metrics.a > 1${'e1'.repeat(100_000)}`,
    'operators without end': `metrics.a ${'<'.repeat(100_000)} 1`,
    'a list without end': `run_id IN (${Array(20_000).fill("'a'").join()})`,
    'lists without end': Array(200)
      .fill(`run_id IN (${Array(200).fill("'a'").join()})`)
      .join(' '),
    'twelve thousand ids': Array(60)
      .fill(`run_id IN (${Array(200).fill("'a'").join()})`)
      .join(' '),
    'a pattern without end': `params.a LIKE '${'%_'.repeat(50_000)}'`,
    'white space': ' '.repeat(290_000),
  }
  test.each(Object.entries(hostile))('refuses %s at once', (_what, filter) => {
    for (const grammar of Object.values(grammars)) {
      const start = process.cpuUsage()
      const message = refusal(() => parseFilter(filter, grammar))
      expect(message).not.toEqual('accepted')
      expect(message.length).toBeLessThan(6000)
      // What is quadratic in these lengths takes minutes.
      expect(process.cpuUsage(start).user / 1000).toBeLessThan(3000)
    }
  })

  test('takes a text of backslashed quotes at once', () => {
    const [comparison] = parseFilter(`params.a = '${"\\'".repeat(50_000)}`, runGrammar)

    expect(comparison?.value).toHaveLength(99_999)
  })

  test('takes a list of thousands of run ids', () => {
    const ids = Array.from({ length: 5000 }, (_, index) => `'${String(index).padStart(32, 'a')}'`)

    const [comparison] = parseFilter(`run_id IN (${ids.join(', ')})`, runGrammar)

    expect(comparison?.value).toHaveLength(5000)
  })
})

describe('order_by', () => {
  const parsers = {
    runs: parseRunOrderBy,
    experiments: parseExperimentOrderBy,
    'registered models': parseRegisteredModelOrderBy,
    'model versions': parseModelVersionOrderBy,
    'logged models': (orderBy: string[]) =>
      parseLoggedModelOrderBy(orderBy.map((field_name) => ({ field_name }))),
  }

  test.each(Object.entries(parsers))('of %s refuses any text or takes it', (_entity, parse) => {
    const texts = fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.string()), { maxLength: 40 })
    fc.assert(
      fc.property(fc.oneof(texts, orders), (orderBy) => {
        refusal(() => parse(orderBy))
      }),
      { numRuns: 500 },
    )
  })

  test('reads quoted and dotted names with either direction', () => {
    expect(parseRunOrderBy(['metrics.`val/loss` DESC', 'tags.a.b', '`params.x` asc'])).toEqual([
      { kind: 'metric', key: 'val/loss', descending: true },
      { kind: 'tag', key: 'a.b', descending: false },
      { kind: 'param', key: 'x', descending: false },
    ])
  })

  test('refuses more fields than a statement can sort by', () => {
    const orderBy = Array.from({ length: 33 }, (_, index) => `metrics.m${index}`)

    expect(refusal(() => parseRunOrderBy(orderBy))).toMatch(/^Invalid order_by: it has 33 fields/)
  })
})
