import { ApiError, invalid, notFound } from '@millrace/api/errors'
import { decodedForms } from '@millrace/artifacts/artifact-path'
import { type ArtifactLocation, parseLocation } from '@millrace/artifacts/location'
import {
  localSourceRefusal,
  type ModelSource,
  parseModelSource,
  unrelatedSourceRefusal,
} from '@millrace/artifacts/model-source'
import { ownLocations } from '../artifacts/artifact-root.ts'
import { authorize } from '../auth/authorize.ts'
import type { Settings } from '../config.ts'
import type { RequestContext } from '../handlers.ts'
import type { ModelVersionRow } from '../search/search-model-versions-query.ts'
import {
  findLoggedModel,
  getLoggedModel,
  type LoggedModelRow,
} from '../tracking/logged-model-store.ts'
import { findRun } from '../tracking/run-store.ts'
import {
  findHighestVersion,
  findVersionByAlias,
  getModelVersion,
  listLatestVersions,
} from './model-version-store.ts'
import { getRegisteredModel } from './registered-model-store.ts'
import { isLatest, parseStage } from './registry-limits.ts'

/**
 * Exports `resolveSource`: what a new model version may be made of. Source of the rules: MLflow
 * 3.17 `_create_model_version`. A source is accepted only where a rule here says so, and no tag of
 * the request lets a model through that would be refused without it.
 */

/** What a request says about where a version comes from. */
export interface SourceRequest {
  source: string
  run_id?: string | undefined
  model_id?: string | undefined
}

/** Where a version comes from, as it is stored. */
export interface ResolvedSource {
  source: string
  /** Where its artifacts are: the source itself unless that names a model. */
  storage_location: string
  run_id: string
  model_id: string | null
  /** The logged model that the version is of, while it exists. */
  model: LoggedModelRow | undefined
}

type Context = Pick<RequestContext, 'db' | 'caller' | 'settings'>

/** The source of a prompt's version, which has no artifacts and so only ever a placeholder. */
export function resolvePromptSource(
  { settings }: Pick<RequestContext, 'settings'>,
  { source, run_id = '' }: SourceRequest,
): ResolvedSource {
  if (!isPlaceholder(source, settings)) {
    throw invalid(
      `Invalid prompt source: '${source}'. Prompt sources must use an MLflow placeholder.`,
    )
  }
  return { source, storage_location: source, run_id, model_id: null, model: undefined }
}

/** Refuses a source that whoever started the server does not want. */
export function checkSourcePattern(source: string, { modelSourcePattern }: Settings): void {
  if (modelSourcePattern === '' || new RegExp(modelSourcePattern).test(source)) return
  throw invalid(`Invalid model version source: '${source}'.`)
}

/** The source of a model's version; throws INVALID_PARAMETER_VALUE or RESOURCE_DOES_NOT_EXIST. */
export async function resolveSource(
  context: Context,
  request: SourceRequest,
): Promise<ResolvedSource> {
  const { source, run_id = '', model_id = '' } = request
  const parsed = parseSource(source, context.settings)
  switch (parsed.kind) {
    case 'version':
    case 'latest':
    case 'stage':
    case 'alias':
      return inheritFrom(context, request, await getSourceVersion(context, source, parsed))
    case 'logged-model':
      if (model_id !== parsed.modelId) throw unrelatedSourceRefusal(source, 'model_id')
      break
    case 'run':
      if (model_id !== '') throw unrelatedSourceRefusal(source, 'model_id')
      if (run_id !== parsed.runId) throw unrelatedSourceRefusal(source, 'run_id')
      await requireReading(context, 'run', run_id)
      break
    case 'placeholder':
      throw localSourceRefusal(source, model_id === '' ? 'run_id' : 'model_id')
    case 'local':
    case 'remote':
      await requirePlace(context, { source, run_id, model_id }, parsed.location)
  }
  if (model_id === '') {
    return { source, storage_location: source, run_id, model_id: null, model: undefined }
  }
  await requireReading(context, 'logged_model', model_id)
  const model = await getLoggedModel(context.db, model_id)
  return {
    source,
    storage_location: parsed.kind === 'logged-model' ? model.artifact_location : source,
    run_id: run_id || model.source_run_id,
    model_id,
    model,
  }
}

function parseSource(source: string, settings: Settings): ModelSource {
  return parseModelSource(source, {
    allowedSchemes: settings.allowedArtifactSchemes,
    ownLocations: ownLocations(settings),
  })
}

function isPlaceholder(source: string, settings: Settings): boolean {
  try {
    return parseSource(source, settings).kind === 'placeholder'
  } catch (error) {
    if (error instanceof ApiError) return false
    throw error
  }
}

/** A version made of another one shares its artifacts and its lineage, and may not claim others. */
async function inheritFrom(
  { db }: Context,
  { source, run_id, model_id }: SourceRequest,
  version: ModelVersionRow,
): Promise<ResolvedSource> {
  const claimsOther =
    (run_id !== undefined && run_id !== version.run_id) ||
    (model_id !== undefined && model_id !== (version.model_id ?? ''))
  if (claimsOther) {
    throw invalid(
      `Invalid model version source: '${source}'. The run_id and model_id request parameters must match the referenced model version.`,
    )
  }
  const model = version.model_id === null ? undefined : await findLoggedModel(db, version.model_id)
  return {
    source: `models:/${version.name}/${version.version}`,
    storage_location: version.storage_location,
    run_id: version.run_id,
    model_id: version.model_id,
    model,
  }
}

type VersionSource = Extract<ModelSource, { kind: 'version' | 'latest' | 'stage' | 'alias' }>

async function getSourceVersion(
  context: Context,
  source: string,
  parsed: VersionSource,
): Promise<ModelVersionRow> {
  const { db, caller } = context
  const { name } = parsed
  await requireReading(context, 'registered_model', name)
  const model = await getRegisteredModel(db, caller.workspace, name)
  if (model.is_prompt) {
    throw invalid(
      `Invalid model version source: '${source}'. Prompt versions cannot be used as model version sources.`,
    )
  }
  if (parsed.kind === 'version') {
    return getModelVersion(db, caller.workspace, name, parsed.version)
  }
  if (parsed.kind === 'alias' && !isLatest(parsed.alias)) {
    const version = await findVersionByAlias(db, model.id, parsed.alias)
    if (version === undefined) throw invalid(`Registered model alias ${parsed.alias} not found.`)
    return version
  }
  const stage = parsed.kind === 'stage' ? parseStage(parsed.stage) : undefined
  const version =
    stage === undefined
      ? await findHighestVersion(db, model.id)
      : (await listLatestVersions(db, [model.id])).find((each) => each.stage === stage)
  if (version === undefined) throw noVersions(name, parsed)
  return version
}

function noVersions(name: string, parsed: VersionSource): ApiError {
  const inStage = parsed.kind === 'stage' ? ` and stage '${parsed.stage}'` : ''
  return notFound(`No versions of model with name '${name}'${inStage} found`)
}

type Place = Extract<ModelSource, { kind: 'local' | 'remote' }>['location']

/** Object stores that only their owner's credentials open, which MLflow takes from anybody. */
const OBJECT_STORES = ['s3', 'gs', 'wasb', 'wasbs', 'abfs', 'abfss', 'r2', 'b2']

/**
 * Refuses a place that a version may not point to: directories of this machine and what this
 * server proxies must belong to the run or logged model named, and a scheme must be one of an
 * object store or of the configuration.
 */
async function requirePlace(
  context: Context,
  request: Required<{ [Field in keyof SourceRequest]: string }>,
  location: Place,
): Promise<void> {
  const { source, model_id } = request
  const by = model_id === '' ? 'run_id' : 'model_id'
  if (location.scheme === 'file' || isProxied(location)) {
    const root = request[by] === '' ? undefined : await getArtifactRoot(context, request, by)
    if (root && isWithin(location, root)) return
    throw location.scheme === 'file'
      ? localSourceRefusal(source, by)
      : unrelatedSourceRefusal(source, by)
  }
  const scheme = schemeOf(location)
  const { settings } = context
  const allowed = [
    ...OBJECT_STORES,
    ...settings.allowedArtifactSchemes,
    ...ownLocations(settings).map(schemeOf),
  ]
  if (!allowed.includes(scheme)) {
    throw invalid(
      `'source' cannot use the '${scheme}' scheme: this server knows no artifact store of that scheme. Set the MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES environment variable on the server to allow it.`,
    )
  }
}

async function getArtifactRoot(
  context: Context,
  { source, run_id, model_id }: Required<{ [Field in keyof SourceRequest]: string }>,
  by: 'run_id' | 'model_id',
): Promise<ArtifactLocation> {
  const { db } = context
  const uri =
    by === 'run_id'
      ? (await findRun(db, run_id))?.artifact_uri
      : (await findLoggedModel(db, model_id))?.artifact_location
  if (uri === undefined) throw unrelatedSourceRefusal(source, by)
  if (by === 'run_id') await requireReading(context, 'run', run_id)
  else await requireReading(context, 'logged_model', model_id)
  return parseLocation(uri)
}

/** What a version points to its readers can read, so whoever makes one must be able to. */
function requireReading(
  { db, caller }: Context,
  on: 'run' | 'logged_model' | 'registered_model',
  id: string,
): Promise<void> {
  return authorize({ permission: 'READ', on, field: 'id' }, { db, caller }, { id })
}

/** Also a URL that leads to the proxy of a server by way of HTTP. */
function isProxied(location: ArtifactLocation): boolean {
  if (location.scheme === 'mlflow-artifacts') return true
  if (location.scheme !== 'other') return false
  return decodedForms(location.uri)?.at(-1)?.includes('/mlflow-artifacts/artifacts') ?? true
}

/** Whether a location is that of `root` or one below it. */
function isWithin(location: ArtifactLocation, root: ArtifactLocation): boolean {
  if (authorityOf(location) !== authorityOf(root)) return false
  const below = segmentsOf(location)
  const above = segmentsOf(root)
  return above.length > 0 && above.every((segment, index) => below[index] === segment)
}

function schemeOf(location: ArtifactLocation): string {
  return location.scheme === 'other' ? location.name : location.scheme
}

function authorityOf(location: ArtifactLocation): string {
  switch (location.scheme) {
    case 'file':
      return 'file:'
    case 'mlflow-artifacts':
      return `mlflow-artifacts://${location.host ?? ''}`
    case 's3':
      return `s3://${location.bucket}`
    case 'other':
      return `${location.name}://${location.authority.toLowerCase()}`
  }
}

function segmentsOf(location: ArtifactLocation): readonly string[] {
  if (location.scheme !== 'file') return location.segments
  return location.path.split('/').filter((segment) => segment !== '')
}
