import { fileURLToPath } from 'node:url'
import { ApiError, invalid } from '@millrace/api/errors'
import type { ArtifactPath } from '@millrace/artifacts/artifact-path'
import { type ArtifactLocation, parseLocation } from '@millrace/artifacts/location'
import { parseModelSource } from '@millrace/artifacts/model-source'

/** What a person names a model by. */
export type ModelUri =
  /** A directory of this machine, as written. */
  | { kind: 'directory'; path: string }
  | { kind: 'run'; runId: string; path: ArtifactPath }
  | { kind: 'logged-model'; modelId: string }
  | { kind: 'version'; name: string; version: string }
  | { kind: 'latest'; name: string }
  | { kind: 'stage'; name: string; stage: string }
  | { kind: 'alias'; name: string; alias: string }
  /** Where the files are, in a store that is not this machine's. */
  | { kind: 'location'; location: Exclude<ArtifactLocation, { scheme: 'file' }> }

/**
 * Parses `runs:/<run>/<path>`, `models:/<name>/<version|stage|latest>`, `models:/<name>@<alias>`,
 * `models:/<model id>`, the location of files, or a local path (MLflow 3.17 `_parse_model_uri` and
 * `RunsArtifactRepository.parse_runs_uri`).
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming the URI and the forms there are
 */
export function parseModelUri(uri: string): ModelUri {
  const scheme = /^[a-z][a-z0-9+.-]+(?=:)/i.exec(uri)?.[0].toLowerCase()
  if (scheme === undefined) return parseDirectory(uri, uri)
  if (scheme === 'file') return parseDirectory(uri, pathOfFileUri(uri))
  if (scheme === 'models' || scheme === 'runs') return parseReference(uri, scheme)
  const location = parseLocation(uri)
  if (location.scheme === 'file') throw invalid(`Invalid model URI: '${uri}'.`)
  return { kind: 'location', location }
}

function parseDirectory(uri: string, path: string): ModelUri {
  if (path.trim() === '' || path.includes('\0')) throw invalid(`Invalid model URI: '${uri}'.`)
  return { kind: 'directory', path }
}

function pathOfFileUri(uri: string): string {
  try {
    return fileURLToPath(uri)
  } catch {
    throw invalid(`Invalid model URI: '${uri}': it names no file of this machine.`)
  }
}

const FORMS = {
  models:
    "Models URIs must be of the form 'models:/name/suffix' or 'models:/name@alias' where suffix " +
    "is a version, stage, or the string 'latest' and where alias is a registered model alias. " +
    'Only one of suffix or alias can be defined at a time.',
  runs: "Runs URIs must be of the form 'runs:/<run_id>/run-relative/path/to/artifact'",
}

function parseReference(uri: string, scheme: keyof typeof FORMS): ModelUri {
  const refusal = invalid(`Not a proper ${scheme}:/ URI: ${uri}. ${FORMS[scheme]}`)
  try {
    const source = parseModelSource(uri, { allowedSchemes: [], ownLocations: [] })
    if (source.kind === 'placeholder' || source.kind === 'local' || source.kind === 'remote') {
      throw refusal
    }
    return source
  } catch (error) {
    // The parser's own words are about what a version may be made of.
    throw error instanceof ApiError ? refusal : error
  }
}
