import { ApiError, invalid } from '@millrace/api/errors'
import { type ArtifactPath, decodedForms, findArtifactPath } from './artifact-path.ts'
import { type HostPolicy, refuseForeignHost } from './host-policy.ts'
import {
  type ArtifactLocation,
  type FileLocation,
  type OtherLocation,
  type ProxiedLocation,
  parseLocation,
  type S3Location,
} from './location.ts'

/** What the `source` of a model version names. */
export type ModelSource =
  /** What prompts have in place of a source. */
  | { kind: 'placeholder' }
  /** `runs:/<run id>/<path>` */
  | { kind: 'run'; runId: string; path: ArtifactPath }
  /** `models:/m-<id>` */
  | { kind: 'logged-model'; modelId: string }
  /** `models:/<name>/<digits>` */
  | { kind: 'version'; name: string; version: string }
  /** `models:/<name>/latest` */
  | { kind: 'latest'; name: string }
  /** `models:/<name>/<stage>`, the stage as written */
  | { kind: 'stage'; name: string; stage: string }
  /** `models:/<name>@<alias>` */
  | { kind: 'alias'; name: string; alias: string }
  | { kind: 'local'; location: FileLocation }
  | { kind: 'remote'; location: ProxiedLocation | S3Location | OtherLocation }

/** MLflow's two placeholders, from its clients and its stores. */
const PLACEHOLDERS = ['dummy-source', 'prompt-template']

/**
 * Parses the `source` of a model version, with the refusals of MLflow 3.17 `_create_model_version`
 * that need no look at the database. Whether a local path, a run or a proxied location may be used
 * is the caller's decision.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming the source
 */
export function parseModelSource(source: string, policy: HostPolicy): ModelSource {
  if (PLACEHOLDERS.includes(source)) return { kind: 'placeholder' }
  const scheme = /^[a-z][a-z0-9+.-]*(?=:)/i.exec(source)?.[0].toLowerCase()
  if (scheme === undefined || scheme === 'file') {
    const location = parse(source, () => localSourceRefusal(source, 'run_id'))
    if (location.scheme !== 'file') throw localSourceRefusal(source, 'run_id')
    return { kind: 'local', location }
  }

  if (scheme === 'models') return parseModelsUri(source)
  if (isRelative(source)) throw relativeSourceRefusal(source)
  if (scheme === 'runs') return parseRunsUri(source)
  const location = parse(source, () => relativeSourceRefusal(source))
  refuseForeignHost(location, 'source', policy)
  const names = location.scheme === 'file' ? [] : location.segments
  if (location.scheme === 'file' || names.length === 0) throw relativeSourceRefusal(source)
  return { kind: 'remote', location }
}

/** For a local source that does not lie below the artifacts of the run or model named. */
export function localSourceRefusal(source: string, by: 'run_id' | 'model_id'): ApiError {
  return invalid(
    `Invalid model version source: '${source}'. To use a local path as a model version source, ` +
      `the ${by} request parameter has to be specified and the local path has to be contained ` +
      `within the artifact directory of the run specified by the ${by}.`,
  )
}

/** For a source that belongs to another run or logged model than the one named, or to none. */
export function unrelatedSourceRefusal(source: string, by: 'run_id' | 'model_id'): ApiError {
  return invalid(
    `Invalid model version source: '${source}'. The ${by} request parameter must identify the ` +
      'resource that contains the source.',
  )
}

function relativeSourceRefusal(source: string): ApiError {
  return invalid(
    `Invalid model version source: '${source}'. If supplying a source as an http, https, local ` +
      'file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be provided ' +
      'without relative path references present. Please provide an absolute path.',
  )
}

/** MLflow 3.17 `_parse_model_uri`. */
function parseModelsUri(source: string): ModelSource {
  if (/^models:\/\/[^/]/i.test(source)) {
    throw invalid(
      `Invalid model version source: '${source}'. Registered model sources must use the active ` +
        'model registry.',
    )
  }
  const [, path] = /^models:\/+(.*)$/is.exec(source) ?? []
  const [name = '', suffix, ...rest] = path?.split('/') ?? []
  if (isRelative(source) || name.trim() === '' || suffix?.trim() === '' || rest.length > 0) {
    throw unrelatedSourceRefusal(source, 'model_id')
  }
  if (suffix === undefined) return parseModelIdOrAlias(source, name)
  if (/^\d+$/.test(suffix)) return { kind: 'version', name, version: suffix }
  if (suffix.toLowerCase() === 'latest') return { kind: 'latest', name }
  return { kind: 'stage', name, stage: suffix }
}

function parseModelIdOrAlias(source: string, text: string): ModelSource {
  const at = text.lastIndexOf('@')
  if (at < 0) return { kind: 'logged-model', modelId: text }
  const [name, alias] = [text.slice(0, at), text.slice(at + 1)]
  if (name.trim() === '' || alias.trim() === '') throw unrelatedSourceRefusal(source, 'model_id')
  return { kind: 'alias', name, alias }
}

function parseRunsUri(source: string): ModelSource {
  if (/^runs:\/\/[^/]/i.test(source)) throw unrelatedSourceRefusal(source, 'run_id')
  const [, runId = '', rest = ''] = /^runs:\/+([^/]+)\/?(.*)$/is.exec(source) ?? []
  const path = findArtifactPath(rest)
  if (findArtifactPath(runId)?.join('/') !== runId || runId === '' || !path) {
    throw relativeSourceRefusal(source)
  }
  return { kind: 'run', runId, path }
}

/** Whether any decoding of the source has a dot segment or a NUL, in whatever part of it. */
function isRelative(source: string): boolean {
  const forms = decodedForms(source)
  return !forms?.every((form) => !/\0|(?:^|\/)\.\.?(?:\/|$)/.test(form))
}

function parse(source: string, refusal: () => ApiError): ArtifactLocation {
  try {
    return parseLocation(source)
  } catch (error) {
    throw error instanceof ApiError ? refusal() : error
  }
}
