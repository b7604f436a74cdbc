import { posix } from 'node:path'
import { invalid } from '@millrace/api/errors'

/**
 * MLflow's rules for keys and values (3.17 `mlflow.utils.validation`), in its words. Lengths count
 * characters as Python does.
 */
export const KEY_LENGTH_MAX = 250
export const PARAM_VALUE_LENGTH_MAX = 6000
export const TAG_VALUE_LENGTH_MAX = 8000
export const EXPERIMENT_TAG_VALUE_LENGTH_MAX = 20_000
export const EXPERIMENT_NAME_LENGTH_MAX = 500
export const REGISTRY_TAG_VALUE_LENGTH_MAX = 100_000

const KEY_CHARACTERS = /^[/\p{L}\p{N}_.\- :]*$/u
const KEY_CHARACTERS_ADVICE =
  'Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).'

/** Refuses a key of a metric, param or tag; `path` names it in the message, `metrics[3].name`. */
export function checkKey(key: string, path: string): void {
  if (!KEY_CHARACTERS.test(key)) throw invalidKey(key, path, KEY_CHARACTERS_ADVICE)
  const resolved = posix.normalize(key).replace(/(?<=.)\/$/, '')
  if (resolved !== key || key === '.' || key.startsWith('..') || key.startsWith('/')) {
    throw invalidKey(
      key,
      path,
      'Names may be treated as files in certain cases, and must not resolve to other names when ' +
        `treated as such. This name would resolve to ${pythonText(resolved)}`,
    )
  }
}

function invalidKey(key: string, path: string, advice: string) {
  const shown = key.length > 300 ? `${key.slice(0, 300)}...` : key
  return invalid(
    `Invalid value ${JSON.stringify(shown)} for parameter '${path}' supplied: ${advice}`,
  )
}

/** Refuses text of more than `max` characters. */
export function checkLength(what: string, max: number, text: string): void {
  if (isLonger(text, max)) throw tooLong(what, max)
}

/** Most tags or params that one request may give a new thing, so that none holds up the writer. */
const ENTRIES_MAX = 1000

/** Refuses a list of more tags or params than a client ever sends. */
export function checkCount(field: string, entries: readonly unknown[] = []): void {
  if (entries.length <= ENTRIES_MAX) return
  throw invalid(
    `A request can contain at most ${ENTRIES_MAX} ${field}. Got ${entries.length} ${field}. Please split up ${field} across multiple requests and try again.`,
  )
}

/**
 * Text of at most `max` characters: cut when `truncates`, else refused. Half a surrogate pair becomes
 * what the database stores for it, or else a param could not be logged a second time.
 */
export function limitLength(what: string, max: number, text: string, truncates: boolean): string {
  if (!isLonger(text, max)) return text.toWellFormed()
  if (!truncates) throw tooLong(what, max)
  return Array.from(text).slice(0, max).join('').toWellFormed()
}

function isLonger(text: string, max: number): boolean {
  return text.length > max && Array.from(text).length > max
}

function tooLong(what: string, max: number) {
  return invalid(`'${what}' exceeds the maximum length of ${max} characters`)
}

const RUN_ID = /^[a-zA-Z0-9][\w-]{0,255}$/

/** Refuses what cannot be the id of a run. */
export function checkRunId(run_id: string): void {
  if (!RUN_ID.test(run_id)) {
    throw invalid(
      `Invalid value ${JSON.stringify(run_id.slice(0, 300))} for parameter 'run_id' supplied.`,
    )
  }
}

/** Text as Python's `repr` shows it, which stands in messages that clients match on. */
export function pythonText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
  return quote + (quote === "'" ? escaped.replaceAll("'", "\\'") : escaped) + quote
}

/** The largest double: infinities are stored as it, and as its negative. */
export function clampInfinity(value: number): number {
  if (value === Number.POSITIVE_INFINITY) return Number.MAX_VALUE
  if (value === Number.NEGATIVE_INFINITY) return -Number.MAX_VALUE
  return value
}
