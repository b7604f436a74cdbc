/** One request to `/invocations`: a title, its Content-Type and its body. */
export type ScoringCase = [title: string, contentType: string, body: string | Uint8Array]

const JSON_TYPE = 'application/json'

function json(title: string, value: unknown): ScoringCase {
  return [title, JSON_TYPE, JSON.stringify(value)]
}

const good = { a: [1, 3], b: [2, 4] }
const goodText = JSON.stringify({ inputs: good })

/** For the model `signed`, which wants two doubles, `a` and `b`. */
export const dialects: ScoringCase[] = [
  json('dataframe_split', {
    dataframe_split: {
      columns: ['a', 'b'],
      data: [
        [1, 2],
        [3, 4],
      ],
    },
  }),
  json('dataframe_split with an index and another order', {
    dataframe_split: { columns: ['b', 'a'], index: [5], data: [[1, 2]] },
  }),
  json('dataframe_records', { dataframe_records: [{ a: 1, b: 2 }] }),
  json('dataframe_records with one column more', { dataframe_records: [{ a: 1, b: 2, c: 3 }] }),
  json('instances', { instances: [{ a: 1.5, b: 2 }] }),
  json('inputs by column', { inputs: good }),
  json('inputs of one row', { inputs: { a: 1, b: 2 } }),
  json('params and other keys', { inputs: good, params: { x: 1 }, signature_name: 'x' }),
  ['CSV', 'text/csv', 'a,b\n1,2\n3,4\n'],
  ['CSV in quotes', 'text/csv; charset=utf-8', '"b","a"\n"1","2"\n'],
  ['JSON with a charset', 'application/json; charset=UTF-8', goodText],
  ['a key twice', JSON_TYPE, '{"inputs":{"a":[1],"b":[2]},"inputs":{"a":[3],"b":[4]}}'],
  ['a key that JavaScript minds', JSON_TYPE, `{"__proto__":{"x":1},${goodText.slice(1)}`],
  ['an integer of thirty digits', JSON_TYPE, `{"inputs":{"a":[${'9'.repeat(30)}],"b":[1]}}`],
]

export const refusals: ScoringCase[] = [
  ['an unknown format', 'application/json; format=other', goodText],
  ['two formats', 'application/json; format=pandas-split; format=pandas-records', goodText],
  ['CSV of a 1.x format', 'text/csv; format=pandas-split', 'a,b\n1,2\n'],
  json('no rows', []),
  json('rows of all sorts', [{ a: 1, b: 2 }, 3]),
  json('bare split with another key', { columns: ['a', 'b'], data: [[1, 2]], rows: 1 }),
  ['1.x numpy split', 'application/json-numpy-split', '{}'],
  ['another charset', 'application/json; charset=latin-1', goodText],
  ['a trailing semicolon', 'application/json;', goodText],
  ['plain text', 'text/plain', 'x'],
  ['a type in capitals', 'Application/JSON', goodText],
  ['no body', JSON_TYPE, ''],
  ['half of a body', JSON_TYPE, '{"dataframe_split":'],
  ['a number', JSON_TYPE, '5'],
  ['null', JSON_TYPE, 'null'],
  ['NaN', JSON_TYPE, '{"inputs":{"a":[NaN],"b":[1]}}'],
  ['bytes that are not UTF-8', JSON_TYPE, new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])],
  ['CSV that is not UTF-8', 'text/csv', new Uint8Array([0x61, 0xff, 0x0a])],
  json('no key', {}),
  json('another key', { rows: good }),
  json('two keys', { inputs: good, instances: [{ a: 1, b: 2 }] }),
  json('a column missing', { dataframe_split: { columns: ['b'], data: [[2]] } }),
  json('text for a number', { dataframe_records: [{ a: 'x', b: 2 }] }),
  json('null for a number', { dataframe_records: [{ a: null, b: 2 }] }),
  json('rows of different lengths', {
    dataframe_split: { columns: ['a', 'b'], data: [[1, 2], [3]] },
  }),
  json('split without data', { dataframe_split: { columns: ['a', 'b'] } }),
  json('split of text', { dataframe_split: 'abc' }),
  json('split of null', { dataframe_split: null }),
  json('records of a dictionary', { dataframe_records: { a: 1 } }),
  json('records of numbers', { dataframe_records: [1, 2] }),
  json('no records', { dataframe_records: [] }),
  json('instances without names', { instances: [[1, 2]] }),
  json('instances of one number', { instances: 5 }),
  json('instances of all sorts', { instances: [{ a: 1 }, 5] }),
  json('inputs of null', { inputs: null }),
  json('inputs of text', { inputs: 'x' }),
  json('columns of different lengths', { inputs: { a: [1, 2], b: [1] } }),
  json('three dimensions', { inputs: [[[1]]] }),
  json('a chat', { messages: [{ role: 'user', content: 'hi' }] }),
  ['CSV with a column missing', 'text/csv', 'b\n2\n'],
  ['CSV with text for a number', 'text/csv', 'a,b\nx,2\n'],
  ['empty CSV', 'text/csv', ''],
  ['a header without rows', 'text/csv', 'a,b\n'],
  ['Parquet that is none', 'application/vnd.apache.parquet', 'x'],
]

const row = { text: 'x', count: 1, flag: true }

/** For the model `typed`, with a column of every type, optional ones, and params. */
export const typedCases: ScoringCase[] = [
  json('all columns', {
    dataframe_records: [
      { ...row, size: 1, when: '2024-01-02T03:04:05', blob: 'aGFsbG8=' },
      { text: 'y', count: 2 ** 40, flag: false, size: 0.1, when: '2024-01-02', blob: '' },
    ],
  }),
  json('optional columns left out', { dataframe_records: [row] }),
  json('params', { dataframe_records: [row], params: { scale: 2, words: ['b', 'c'] } }),
  json('a param of another name', { dataframe_records: [row], params: { other: 1 } }),
  json('a param of another type', { dataframe_records: [row], params: { scale: 'much' } }),
  json('params in a list', { dataframe_records: [row], params: [1] }),
  json('a fraction for a count', { dataframe_records: [{ ...row, count: 1.5 }] }),
  json('text for a flag', { dataframe_records: [{ ...row, flag: 'yes' }] }),
  json('no time for a time', { dataframe_records: [{ ...row, when: 'never' }] }),
  json('no base64 for bytes', { dataframe_records: [{ ...row, blob: '!' }] }),
  ['CSV with leading zeros', 'text/csv', 'text,count,flag\n007,1,True\n'],
]

/** Bodies of MLflow 1.x for `signed`, with what MLflow 2 and newer take in their place. */
export const oldBodies: [title: string, contentType: string, body: string, today: object][] = [
  [
    'pandas-split',
    'application/json; format=pandas-split',
    '{"columns":["b","a"],"index":[7],"data":[[1,2]]}',
    { dataframe_split: { columns: ['b', 'a'], index: [7], data: [[1, 2]] } },
  ],
  [
    'pandas-records with a charset',
    'application/json; charset=utf-8; format=pandas-records',
    '[{"a":1,"b":2},{"a":3,"b":4}]',
    {
      dataframe_records: [
        { a: 1, b: 2 },
        { a: 3, b: 4 },
      ],
    },
  ],
  [
    'a bare split',
    JSON_TYPE,
    ' {"columns":["a","b"],"data":[[1,2]]}',
    { dataframe_split: { columns: ['a', 'b'], data: [[1, 2]] } },
  ],
  ['bare records', JSON_TYPE, '[{"a":1,"b":2}]', { dataframe_records: [{ a: 1, b: 2 }] }],
  [
    'a column missing',
    'application/json; format=pandas-split',
    '{"columns":["b"],"data":[[1]]}',
    { dataframe_split: { columns: ['b'], data: [[1]] } },
  ],
  ['text for a number', JSON_TYPE, '[{"a":"x","b":2}]', { dataframe_records: [{ a: 'x', b: 2 }] }],
]

/** For `signed` as MLflow 1.30 saved and serves it. */
export const oldCases: ScoringCase[] = [
  ['pandas-split', 'application/json; format=pandas-split', '{"columns":["a","b"],"data":[[1,2]]}'],
  ['pandas-records', 'application/json; format=pandas-records', '[{"a":1,"b":2}]'],
  json('bare split', { columns: ['b', 'a'], data: [[1, 2]] }),
  json('bare records', [{ a: 1, b: 2 }]),
  json('instances', { instances: [{ a: 1, b: 2 }] }),
  json('inputs', { inputs: good }),
  [
    'numpy split',
    'application/json-numpy-split',
    '{"columns":["a","b"],"index":[0],"data":[[1,2]]}',
  ],
  ['CSV', 'text/csv', 'a,b\n1,2\n'],
  json('a split of 2.x', { dataframe_split: { columns: ['a', 'b'], data: [[1, 2]] } }),
  ['half of a body', JSON_TYPE, '{"columns":'],
  json('a number', 5),
  json('a column missing', [{ b: 2 }]),
  json('text for a number', [{ a: 'x', b: 2 }]),
  ['an unknown format', 'application/json; format=other', '{}'],
  ['another charset', 'application/json; charset=latin-1', '{}'],
  ['empty CSV', 'text/csv', ''],
]
