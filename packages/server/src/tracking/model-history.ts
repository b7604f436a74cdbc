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

/** The models that a run's tag tells of; anybody may have set the tag to something else. */
export function readModelHistory(tag: string | undefined, run_id: string): unknown[] {
  if (tag === undefined) return []
  try {
    const history: unknown = JSON.parse(tag)
    if (Array.isArray(history)) return history
  } catch {
    // Said below, in the same words as for JSON that is no list.
  }
  throw invalid(`The tag 'mlflow.log-model.history' of run '${run_id}' is not a JSON list.`)
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
