import { randomBytes } from 'node:crypto'

const NAME_MAX = 63
const ID_CHARACTERS = 20

/** SageMaker's rule for names of endpoints, configurations, models and jobs. */
export function isResourceName(name: string): boolean {
  return name.length <= NAME_MAX && /^[a-zA-Z0-9](-*[a-zA-Z0-9])*$/.test(name)
}

/**
 * A name that nothing has, such as `boston-model-<20 hex digits>`; a long base loses its middle
 * (MLflow 3.17 `_get_unique_name`).
 */
export function uniqueName(base: string, kind: 'model' | 'config'): string {
  const end = `-${kind}-${randomBytes(ID_CHARACTERS / 2).toString('hex')}`
  return shortened(base, NAME_MAX - end.length) + end
}

/** What the names of a deployment's resources begin with. */
export function namePrefix(base: string, kind: 'model' | 'config'): string {
  const end = `-${kind}-`
  return shortened(base, NAME_MAX - end.length - ID_CHARACTERS) + end
}

function shortened(name: string, length: number): string {
  if (name.length <= length) return name
  const kept = length - 3
  const start = Math.floor(kept / 2)
  return `${name.slice(0, start)}---${name.slice(name.length - (kept - start))}`
}

/** The tag by which MLflow's resources know their deployment. */
export const APP_TAG = 'app_name'
/** The tags of a SageMaker model that say what it was made of. */
export const MODEL_URI_TAG = 'model_uri'
export const MODEL_VERSION_TAG = 'millrace:model-version'

/** A text as the value of a tag, which AWS allows few characters. */
export function tagValue(text: string): string {
  return text.replace(/[^\p{L}\p{Z}\p{N}_.:/=+\-@]/gu, '_').slice(0, 256)
}

/** Tags as AWS wants them. */
export function tagList(tags: Record<string, string>): { Key: string; Value: string }[] {
  return Object.entries(tags).map(([Key, value]) => ({ Key, Value: tagValue(value) }))
}
