import { invalid } from '@millrace/api/errors'

const REQUIRED = ['artifact_path', 'flavors', 'utc_time_created', 'run_id']
const SHOWN_MAX = 1000

/** Parses the description of a saved model, which must have MLflow's four mandatory fields. */
export function checkModelJson(model_json: string): object {
  const model = parse(model_json)
  const missing = REQUIRED.filter((field) => !(field in model))
  if (missing.length === 0) return model
  const names = missing.map((field) => `'${field}'`).join(', ')
  throw invalid(`Model json is missing mandatory fields: {${names}}`)
}

function parse(model_json: string): object {
  try {
    const model: unknown = JSON.parse(model_json)
    if (model !== null && typeof model === 'object' && !Array.isArray(model)) return model
  } catch {
    // Said below, in the same words as for JSON that is no object.
  }
  throw invalid(
    `Malformed model info. \n ${model_json.slice(0, SHOWN_MAX)} \n is not a valid JSON.`,
  )
}
