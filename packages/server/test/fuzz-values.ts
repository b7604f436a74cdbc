import type { Random } from './seeded-random.ts'

/** JSON text that stands in a body as it is, whether it is JSON or not. */
export class RawJson {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** Ids that exist on the server, in the order in which they were made, and tokens it gave out. */
export interface KnownThings {
  experiments: string[]
  runs: string[]
  models: string[]
  loggedModels: string[]
  pageTokens: string[]
}

const TEXTS = [
  '',
  ' ',
  '\0',
  'a\0b',
  'line\nbreak\r\n\t',
  '\u202egnp.exe\u2066',
  '\u200b\ufeff',
  'e\u0301 \u00e9',
  '\ud800',
  '\udfff\ud800 turned round',
  '😀'.repeat(300),
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'toString',
  '$HOME ${PATH} %PATH% {{7*7}} `id` $(id)',
  "' OR 1=1 --",
  '"; DROP TABLE run; --',
  '../../../etc/passwd',
  '%2e%2e%2f%2e%2e%2f',
  '<script>alert(1)</script>',
  'null',
  'NaN',
  '-Infinity',
  '1e999',
  '0x10',
  '9'.repeat(400),
  'a'.repeat(8001),
  'mlflow.runName',
  'mlflow.log-model.history',
  'mlflow.prompt.is_prompt',
  'mlflow.customView.view1',
  'mlflow.note.content',
  '9223372036854775807',
  '9223372036854775808',
  '-9223372036854775809',
]

const NUMBERS = [
  '0 -0 1 -1 1.5 -0.0 2147483648 -2147483649 9007199254740993 9223372036854775807 1e308 1e309',
  '-9223372036854775808 9223372036854775808 5e-324 -1e309 NaN Infinity -Infinity 1E+2 01 +1 .5',
  '1'.repeat(400),
].flatMap((line) => line.split(' '))

/** Text that something might stumble over. */
export function oddText(random: Random): string {
  const kind = random.next()
  if (kind < 0.7) return random.pick(TEXTS)
  if (kind < 0.72)
    return random.pick(['x', 'é', '%', "'", '/..']).repeat(random.pick([65_536, 400_000]))
  const length = random.below(12)
  const codes = [0x20, 0x7f, 0x100, 0x3000, 0xd800, 0xe000, 0xffff]
  return Array.from({ length }, () =>
    String.fromCharCode(random.below(random.pick(codes) + 1)),
  ).join('')
}

/** A value of any type, most of them where nothing of the kind belongs. */
export function oddValue(random: Random): unknown {
  const kind = random.next()
  if (kind < 0.35) return oddText(random)
  if (kind < 0.65) return new RawJson(random.pick(NUMBERS))
  if (kind < 0.75) return random.pick([null, true, false, [], {}, [[]], [null], { key: 'k' }])
  if (kind < 0.8) return Array.from({ length: random.pick([2, 101, 1001]) }, () => random.below(9))
  if (kind < 0.84) return new RawJson(nested(random.pick([99, 101, 250, 10_000]), random))
  if (kind < 0.9) return new RawJson(`{"__proto__":{"polluted":1},"constructor":{"prototype":{}}}`)
  if (kind < 0.95) return new RawJson('{"key":"a","key":"b","value":1,"value":"c"}')
  return random.pick([[random.word(3), 1, null], { [random.word(3)]: random.word(3) }])
}

function nested(depth: number, random: Random): string {
  return random.chance(0.5)
    ? `${'['.repeat(depth)}${']'.repeat(depth)}`
    : `${'{"a":'.repeat(depth)}null${'}'.repeat(depth)}`
}

const FILTER_PARTS = [
  'metrics.m|metrics.`odd name`|params.p|tags.t|tags."mlflow.runName"|name|attributes.status',
  'attribute.start_time|run_id|status|dataset.name|creation_time|datasets.digest|source_path',
  'experiment_id|tags.`mlflow.user`|aliases.a|nothing.x|=|!=|>|>=|<|<=|LIKE|ILIKE|IN|NOT IN|~',
  `IS NULL|IS NOT NULL|'a'|"a"|'%'|'_%'|'RUNNING'|1|-1.5|1e400|NaN|('a', 'b')|()|''|AND|and|OR`,
  `NOT|(|)|,|;|--|/*|\`|'|"|\\|\0|?|🙂`,
].flatMap((line) => line.split('|'))

const GOOD_FILTERS = [
  'metrics.m > 0.5',
  "params.p = 'a' AND metrics.m <= 3",
  "tags.t LIKE '%a%'",
  "tags.t ILIKE 'A%'",
  "attributes.status = 'RUNNING'",
  "name LIKE 'm%'",
  "attributes.run_id IN ('a', 'b')",
  "dataset.name = 'd'",
  'tags.t IS NULL',
  'attributes.start_time > 5',
]

/** A filter that may or may not be one. */
export function someFilter(random: Random): string {
  const kind = random.next()
  if (kind < 0.35) return random.pick(GOOD_FILTERS)
  if (kind < 0.45)
    return Array.from({ length: 1 + random.below(80) }, () => random.pick(GOOD_FILTERS)).join(
      ' AND ',
    )
  if (kind < 0.48) return `tags.t LIKE '${'%a_'.repeat(random.pick([5, 200, 20_000]))}'`
  if (kind < 0.5) return `attributes.run_id IN (${"'x', ".repeat(random.pick([10, 5000]))}'y')`
  if (kind < 0.55) return oddText(random)
  return Array.from({ length: 1 + random.below(9) }, () => random.pick(FILTER_PARTS)).join(
    random.pick([' ', ' ', '']),
  )
}

const ORDER_PARTS = [
  'metrics.m|params.p|tags.t|attributes.start_time|start_time|name|status|run_id|creation_time',
  'last_updated_timestamp|version_number|experiment_id|metrics.`x y`|',
].flatMap((line) => line.split('|'))

/** One entry of an `order_by`. */
export function someOrder(random: Random): string {
  if (random.chance(0.1)) return oddText(random)
  return `${random.pick(ORDER_PARTS)} ${random.pick(['', 'ASC', 'DESC', 'desc', 'asc', 'UP', 'ASC, x'])}`
}

/** A page token: given out by the server, changed a little, or made up. */
export function someToken(random: Random, { pageTokens }: KnownThings): string {
  const kind = random.next()
  const token = pageTokens.length > 0 ? random.pick(pageTokens) : 'e30='
  if (kind < 0.3) return token
  if (kind < 0.5) {
    const at = random.below(token.length + 1)
    return token.slice(0, at) + random.word(1) + token.slice(at + random.below(2))
  }
  const made = random.pick([
    ...'{} [] null 1 -1 99999999999999999999 {"k":[null,null,{}]} {"v":1,"k":["a"]}'.split(' '),
    ...'{"offset":1e99} {"offset":-5} {"offset":"x"}'.split(' '),
    nested(300, random),
    '\ud800',
  ])
  return kind < 0.9
    ? Buffer.from(made).toString(random.pick(['base64', 'base64url']))
    : oddText(random)
}

/** JSON text of a value; `RawJson` stands as it is, numbers that JSON lacks as Python writes them. */
export function jsonText(value: unknown): string {
  if (value instanceof RawJson) return value.text
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value).map(
    ([key, field]) => `${JSON.stringify(key)}:${jsonText(field)}`,
  )
  return `{${fields.join(',')}}`
}
