import * as fc from 'fast-check'
import { RUN_ATTRIBUTE_BY_NAME } from './grammar-runs.ts'
import type { TestRun } from './test-rows.ts'

/** Exports random runs and random searches over them, from few values, so that many are equal. */

const METRICS = ['m1', 'm2', 'of.dots']
const PARAMS = ['p1', 'p2']
const TAGS = ['t1', 'with space']
const METRIC_VALUES = [0, 1, 2.5, -1, Number.NaN, Number.MAX_VALUE, -1e-9]
const TEXTS = ['', 'a', 'A', 'b', 'ab', 'a%b', 'a_b', '10', '9', "it's", 'é', 'z\\z']
const TIMES = [-5, 0, 1000, 2000, 2 ** 53 + 4]
const NAMES = ['ann', 'Ann', 'bob']

export const EXPERIMENTS = [1, 2, 3]
export const RUNS_MAX = 25

const datasets = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom('train', 'test'),
    digest: fc.constantFrom('d1', 'd2'),
    context: fc.constantFrom('training', 'Eval', null),
  }),
  { maxLength: 2, selector: ({ name, digest }) => `${name} ${digest}` },
)

/** Runs of the three experiments with distinct ids. */
export const testRuns = fc
  .array(
    fc.record({
      experiment: fc.constantFrom(...EXPERIMENTS),
      name: fc.constantFrom(...NAMES),
      user_id: fc.constantFrom(...NAMES),
      status: fc.constantFrom(1, 2, 3, 4, 5),
      start_time: fc.constantFrom(...TIMES, 2n ** 60n, 2n ** 60n + 1n),
      end_time: fc.constantFrom(null, 1000, 2000),
      stage: fc.constantFrom(0, 0, 0, 1),
      metrics: entriesOf(METRICS, METRIC_VALUES),
      params: entriesOf(PARAMS, TEXTS),
      tags: entriesOf(TAGS, TEXTS),
      datasets,
    }),
    { maxLength: RUNS_MAX, size: 'max' },
  )
  .map((rows): TestRun[] => rows.map((row, index) => ({ ...row, uuid: testUuid(index) })))

/** Ids whose order is not that of insertion. */
export function testUuid(index: number): string {
  return ((index * 7919) % 65_521).toString(16).padStart(32, '0')
}

function entriesOf<Value>(keys: readonly string[], values: readonly Value[]) {
  return fc.dictionary(fc.constantFrom(...keys), fc.constantFrom(...values), {
    maxKeys: keys.length,
    noNullPrototype: true,
  })
}

const numberComparator = fc.constantFrom('=', '!=', '>', '>=', '<', '<=')
const textComparator = fc.constantFrom('=', '!=', 'LIKE', 'ILIKE', 'like')
const number = fc.oneof(
  fc.constantFrom('0', '1', '2.5', '-1', '.5', '1e3', '1e400', '-1e400', '9007199254740993'),
  fc.constantFrom('99999999999999999999', '1000', '1152921504606846977', '2e308'),
)
const text = fc.constantFrom(...TEXTS, '%', 'A%', '_', '%b', 'ann', 'F%', 'FINISHED', 'training')
const quoted = text.map((value) => (value.includes("'") ? `"${value}"` : `'${value}'`))

const clauses = fc.oneof(
  fc
    .tuple(fc.constantFrom('metrics', 'metric'), fc.constantFrom(...METRICS, 'none'))
    .chain(([prefix, key]) =>
      fc.tuple(numberComparator, number).map((test) => `${prefix}.${key} ${test.join(' ')}`),
    ),
  fc
    .tuple(fc.constantFrom('params.p1', 'param.p2', 'tags.t1', 'tag.`with space`', 'params.none'))
    .chain(([name]) =>
      fc.oneof(
        fc.tuple(textComparator, quoted).map((test) => `${name} ${test.join(' ')}`),
        fc.constantFrom(`${name} IS NULL`, `${name} IS NOT NULL`),
      ),
    ),
  fc
    .tuple(
      fc.constantFrom('start_time', 'Created', 'attributes.end_time'),
      numberComparator,
      number,
    )
    .map((parts) => parts.join(' ')),
  fc
    .tuple(
      fc.constantFrom('status', 'run_name', 'user_id', 'artifact_uri', 'attr.run_id', 'run.status'),
      textComparator,
      quoted,
    )
    .map((parts) => parts.join(' ')),
  fc
    .tuple(fc.constantFrom('IN', 'NOT IN', 'in'), fc.nat(25), fc.nat(25))
    .map(([comparator, a, b]) => `run_id ${comparator} ('${testUuid(a)}', '${testUuid(b)}')`),
  fc
    .tuple(fc.constantFrom('name', 'digest', 'context'), textComparator, quoted)
    .map(([key, ...test]) => `dataset.${key} ${test.join(' ')}`),
  fc.constantFrom("dataset.name IN ('train')", "datasets.context NOT IN ('Eval', 'x')"),
)

/** Filters that are valid. */
export const filters = fc.array(clauses, { maxLength: 3 }).map((parts) => parts.join(' AND '))

/** Lists for `order_by`, without duplicates. */
export const orders = fc
  .uniqueArray(
    fc.record({
      field: fc.constantFrom(
        ...METRICS.map((key) => `metrics.${key}`),
        ...PARAMS.map((key) => `params.${key}`),
        ...TAGS.map((key) => `tags.\`${key}\``),
        ...RUN_ATTRIBUTE_BY_NAME.values().filter((name) => name !== 'artifact_uri'),
        'params.none',
        'metrics.none',
      ),
      direction: fc.constantFrom('', ' ASC', ' DESC'),
    }),
    { maxLength: 2, selector: ({ field }) => field },
  )
  .map((fields) => fields.map(({ field, direction }) => field + direction))
