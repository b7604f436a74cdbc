import { posix } from 'node:path'
import { invalid, notFound } from '@millrace/api/errors'
import { MODEL_STAGES, type ModelStage } from '@millrace/api/model-versions'
import {
  checkKey,
  checkLength,
  KEY_LENGTH_MAX,
  pythonText,
  REGISTRY_TAG_VALUE_LENGTH_MAX,
} from '../tracking/limits.ts'

/**
 * MLflow's rules for names, versions, stages, aliases and tags of the registry (3.17
 * `mlflow.utils.validation`), in its words.
 */

const NAME_LENGTH_MAX = 256
const ALIAS_LENGTH_MAX = 255
const PROMPT_TEXT_TAG = 'mlflow.prompt.text'

/**
 * Refuses a name that no registered model can be given. Names are the code points that were sent:
 * `a%2fb`, an accent composed or not and a trailing space are all names of their own, so what the
 * one name opens no other can.
 */
export function checkModelName(name: string, parameter: 'name' | 'new_name' = 'name'): void {
  if (name.trim() === '') throw invalid(`Missing value for required parameter '${parameter}'.`)
  if (/[/:]/.test(name)) {
    throw invalid(`Invalid model name '${name}'. Names cannot contain '/' or ':'.`)
  }
  if (/\p{Cc}/u.test(name) || !name.isWellFormed()) {
    throw invalidName(name, 'Names cannot contain control characters.')
  }
  if (posix.normalize(name) !== name || name === '.' || name.startsWith('..')) {
    throw invalidName(
      name,
      'Names may be treated as files in certain cases, and must not resolve to other names when ' +
        `treated as such. This name would resolve to ${pythonText(posix.normalize(name))}`,
    )
  }
  checkLength('name', NAME_LENGTH_MAX, name)
}

function invalidName(name: string, advice: string) {
  return invalid(`Invalid value ${JSON.stringify(name)} for parameter 'name' supplied: ${advice}`)
}

/** Refuses what no alias is spelt like. */
export function checkAlias(alias: string): void {
  if (!/^[\p{L}\p{N}_-]*$/u.test(alias)) {
    throw invalid(
      `Invalid alias name: '${alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-).`,
    )
  }
  checkLength('Registered model alias name', ALIAS_LENGTH_MAX, alias)
}

/** Refuses an alias that already means something else. */
export function checkAliasIsFree(alias: string): void {
  if (isLatest(alias)) throw invalid("'latest' alias name (case insensitive) is reserved.")
  if (/^v\d+$/i.test(alias)) throw invalid(`Version alias name '${alias}' is reserved.`)
}

/** The alias that means the highest version, and so is never set. */
export function isLatest(alias: string): boolean {
  return alias.toLowerCase() === 'latest'
}

/** Refuses a tag of a registered model. */
export function checkModelTag(key: string, value: string): void {
  checkTagKey(key)
  checkLength('value', REGISTRY_TAG_VALUE_LENGTH_MAX, value)
}

/** Refuses a tag of a model version; the text of a prompt has a message of its own. */
export function checkVersionTag(key: string, value: string): void {
  checkTagKey(key)
  const max = REGISTRY_TAG_VALUE_LENGTH_MAX
  if (key === PROMPT_TEXT_TAG && value.length > max && Array.from(value).length > max) {
    throw invalid(`Prompt text exceeds max length of ${max} characters.`)
  }
  checkLength('value', max, value)
}

/** Refuses the key of a tag. */
export function checkTagKey(key: string): void {
  checkKey(key, 'key')
  checkLength('key', KEY_LENGTH_MAX, key)
}

/** A version's number; one that no version can have where the integer is too large for any. */
export function parseVersion(version: string): number {
  const text = version.trim()
  if (!/^[+-]?\d+$/.test(text)) {
    throw invalid(`Parameter 'version' must be an integer, got '${version.slice(0, 200)}'.`)
  }
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : -1
}

/** 404 in MLflow's words, which do not say whether it is the model or the version that is missing. */
export function noSuchVersion(name: string, version: string | number) {
  return notFound(`Model Version (name=${name}, version=${String(version).trim()}) not found`)
}

/** 404 in MLflow's words. */
export function noSuchModel(name: string) {
  return notFound(`Registered Model with name=${name} not found`)
}

/** The stage in its canonical spelling; clients may write it in any case. */
export function parseStage(stage: string): ModelStage {
  const canonical = MODEL_STAGES.find((each) => each.toLowerCase() === stage.toLowerCase())
  if (canonical === undefined) {
    throw invalid(
      `Invalid Model Version stage: ${stage}. Value must be one of ${MODEL_STAGES.join(', ')}.`,
    )
  }
  return canonical
}
