import { invalid } from '@millrace/api/errors'

/** A value of JSON; a row of CSV is an array of texts. */
export type Json = string | number | boolean | null | Json[] | { [name: string]: Json }

type Step =
  | { kind: 'names'; names: string[] }
  | { kind: 'indexes'; indexes: number[] }
  | { kind: 'slice'; start: number | undefined; end: number | undefined }
  | { kind: 'all' }

/** What a filter keeps of a value; undefined when there is nothing there. */
export type Filter = (value: Json) => Json | undefined

const NAME = /^\.([A-Za-z_][\w-]*)/
const ALL = /^(\.\*|\[\*\])/
const NAMES = /^\[\s*('[^']*'(?:\s*,\s*'[^']*')*)\s*\]/
const INDEXES = /^\[\s*(-?\d+(?:\s*,\s*-?\d+)*)\s*\]/
const SLICE = /^\[\s*(-?\d+)?\s*:\s*(-?\d+)?\s*\]/

/**
 * A filter of DataProcessing: the part of JSONPath that SageMaker takes. `$.a`, `$['a','b']`, `$[0]`,
 * `$[0,-1]`, `$[1:]` and `$[*]`, one after the other. Several names keep an object, several indexes
 * an array.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE that shows what cannot be read
 */
export function parseFilter(text: string): Filter {
  if (!text.startsWith('$')) throw unreadable(text, text)
  const steps: Step[] = []
  for (let rest = text.slice(1).trim(); rest !== ''; ) {
    const [step, length] = readStep(rest) ?? []
    if (!step || length === undefined) throw unreadable(text, rest)
    steps.push(step)
    rest = rest.slice(length).trim()
  }
  return (value) => {
    let found: Json | undefined = value
    for (const step of steps) {
      if (found === undefined) return undefined
      found = take(found, step)
    }
    return found
  }
}

function unreadable(text: string, rest: string) {
  return invalid(
    `The filter '${text}' cannot be read at '${rest}'. It begins with $ and goes on with .name, ` +
      "['a','b'], [0], [0,2], [1:3] or [*].",
  )
}

function readStep(rest: string): [Step, number] | undefined {
  const all = ALL.exec(rest)
  if (all) return [{ kind: 'all' }, all[0].length]
  const name = NAME.exec(rest)
  if (name) return [{ kind: 'names', names: [name[1] ?? ''] }, name[0].length]
  const names = NAMES.exec(rest)
  if (names) {
    const list = [...(names[1] ?? '').matchAll(/'([^']*)'/g)].map(([, one = '']) => one)
    return [{ kind: 'names', names: list }, names[0].length]
  }
  const indexes = INDEXES.exec(rest)
  if (indexes) {
    const list = (indexes[1] ?? '').split(',').map(Number)
    return [{ kind: 'indexes', indexes: list }, indexes[0].length]
  }
  const slice = SLICE.exec(rest)
  if (!slice) return undefined
  const [whole, start, end] = slice
  const number = (part: string | undefined) => (part === undefined ? undefined : Number(part))
  return [{ kind: 'slice', start: number(start), end: number(end) }, whole.length]
}

function take(value: Json, step: Step): Json | undefined {
  switch (step.kind) {
    case 'all':
      if (Array.isArray(value)) return value
      return isObject(value) ? Object.values(value) : undefined
    case 'names':
      return takeNames(value, step.names)
    case 'indexes': {
      if (!Array.isArray(value)) return undefined
      const found = step.indexes.map((index) => value.at(index))
      if (step.indexes.length === 1) return found[0]
      return found.filter((one) => one !== undefined)
    }
    case 'slice':
      return Array.isArray(value) ? value.slice(step.start, step.end) : undefined
  }
}

function takeNames(value: Json, names: string[]): Json | undefined {
  if (!isObject(value)) return undefined
  const [first = ''] = names
  if (names.length === 1) return Object.hasOwn(value, first) ? value[first] : undefined
  return Object.fromEntries(
    names.flatMap((name) => {
      const found = Object.hasOwn(value, name) ? value[name] : undefined
      return found === undefined ? [] : [[name, found] as const]
    }),
  )
}

function isObject(value: Json): value is { [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
