import { existsSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ApiError, invalid, notFound } from '@millrace/api/errors'
import {
  type ArtifactPath,
  formatArtifactPath,
  parseArtifactPath,
} from '@millrace/artifacts/artifact-path'
import { openStore, type StoreOptions } from '@millrace/artifacts/artifact-store'
import { type ArtifactLocation, childLocation, parseLocation } from '@millrace/artifacts/location'
import { readStoreOptions } from '@millrace/artifacts/store-environment'
import { type Client, createClient } from '@millrace/client/client'
import { type ArtifactTree, copyFiles, listTree } from './artifact-download.ts'
import { copyThroughCache } from './model-cache.ts'
import { type ModelUri, parseModelUri } from './model-uri.ts'
import type { TrackingServer } from './tracking-server.ts'

/** A model's files on this machine; disposing it removes them if they were fetched. */
export interface LocalModel extends AsyncDisposable {
  directory: string
}

/** How files are fetched, besides by the tracking server. */
export interface FetchOptions {
  /** How S3 and the like are reached. */
  stores?: StoreOptions
  /** Where models from stores that name versions of files are kept; nowhere when absent. */
  cacheDirectory?: string
  /** Gives up what is being fetched. */
  signal?: AbortSignal
}

/**
 * What the environment says of fetching: the variables of boto3 and of MLflow's clients, and
 * `MILLRACE_CACHE`.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming the variable that cannot be used
 */
export function readFetchOptions(
  environment: Readonly<Record<string, string | undefined>>,
): FetchOptions & { stores: StoreOptions; cacheDirectory: string } {
  const { MILLRACE_CACHE, XDG_CACHE_HOME } = environment
  const cache = MILLRACE_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'millrace')
  return { stores: readStoreOptions(environment), cacheDirectory: join(cache, 'models') }
}

/**
 * Finds the files of a model and fetches those that are not on this machine: through the tracking
 * server's proxy, or from the bucket they are in.
 *
 * @throws ApiError RESOURCE_DOES_NOT_EXIST when there is no such model, INVALID_PARAMETER_VALUE when
 * its URI, or where its files are, is not understood, PERMISSION_DENIED when the store denies them
 */
export async function fetchModel(
  uri: string,
  tracking: TrackingServer | undefined,
  options: FetchOptions = {},
): Promise<LocalModel> {
  const parsed = parseModelUri(uri)
  if (parsed.kind === 'directory') return localDirectory(parsed.path)
  const location = await locate(uri, parsed, tracking, options)
  if (location.scheme === 'file') return localDirectory(location.path)
  return download(treeAt(location, tracking, options), options)
}

async function localDirectory(path: string): Promise<LocalModel> {
  const absolute = resolve(path)
  if (!existsSync(absolute)) throw notFound(`There is no directory ${absolute} on this machine.`)
  return { directory: await realpath(absolute), [Symbol.asyncDispose]: async () => {} }
}

async function download(
  tree: ArtifactTree & { isVersioned: boolean },
  { cacheDirectory, signal }: FetchOptions,
): Promise<LocalModel> {
  const directory = await mkdtemp(join(await realpath(tmpdir()), 'millrace-model-'))
  const remove = () => rm(directory, { recursive: true, force: true })
  try {
    const files = await listTree(tree, signal)
    if (!files.some(({ path }) => formatArtifactPath(path) === 'MLmodel')) {
      throw notFound(`There is no model at '${tree.uri}': it has no file MLmodel.`)
    }
    if (!tree.isVersioned || cacheDirectory === undefined) {
      await copyFiles(tree, files, { directory, signal })
    } else await copyThroughCache(tree, files, { directory, cacheDirectory, signal })
    return { directory, [Symbol.asyncDispose]: remove }
  } catch (error) {
    await remove()
    throw error
  }
}

function treeAt(
  location: Exclude<ArtifactLocation, { scheme: 'file' }>,
  tracking: TrackingServer | undefined,
  { stores }: FetchOptions,
): ArtifactTree & { isVersioned: boolean } {
  if (location.scheme === 'mlflow-artifacts') requireServer(location.uri, tracking)
  const store = openStore(location, { ...stores, ...(tracking && { server: tracking }) })
  const isBucket = location.scheme === 's3' || /^(gs|wasbs)$/.test(schemeOf(location))
  return { store, uri: location.uri, isVersioned: isBucket }
}

function schemeOf(location: ArtifactLocation): string {
  return location.scheme === 'other' ? location.name : location.scheme
}

/** Where the files of a model are, asking the tracking server what it is to know. */
async function locate(
  uri: string,
  parsed: Exclude<ModelUri, { kind: 'directory' }>,
  tracking: TrackingServer | undefined,
  options: FetchOptions,
): Promise<ArtifactLocation> {
  if (parsed.kind === 'location') return parsed.location
  const server = requireServer(uri, tracking)
  const client = createClient({ baseUrl: server.url, headers: server.headers })
  switch (parsed.kind) {
    case 'run':
      return locateInRun(client, parsed, (location) => holdsModel(location, server, options))
    case 'logged-model':
      return locateLoggedModel(client, parsed.modelId)
    default: {
      const { name } = parsed
      const version = await findVersion(client, parsed)
      const { artifact_uri } = await client.modelVersions.getDownloadUri({ name, version })
      const [, modelId] = /^models:\/+([^/]+)$/.exec(artifact_uri) ?? []
      return modelId ? locateLoggedModel(client, modelId) : parseLocation(artifact_uri)
    }
  }
}

async function locateLoggedModel(client: Client, model_id: string): Promise<ArtifactLocation> {
  const { model } = await client.loggedModels.get({ model_id })
  return parseLocation(model.info.artifact_uri)
}

/** MLflow 3.17 `get_model_name_and_version`. */
async function findVersion(
  { registeredModels }: Client,
  uri: Extract<ModelUri, { name: string }>,
): Promise<string> {
  const { kind, name } = uri
  if (kind === 'version') return uri.version
  if (kind === 'alias') {
    const { model_version } = await registeredModels.getVersionByAlias({ name, alias: uri.alias })
    return model_version.version
  }
  const stages = kind === 'stage' ? { stages: [uri.stage] } : {}
  const { model_versions = [] } = await registeredModels.getLatestVersions({ name, ...stages })
  const versions = model_versions.map(({ version }) => Number(version))
  if (versions.length > 0) return String(Math.max(...versions))
  const stage = kind === 'stage' ? ` and stage '${uri.stage}'` : ''
  throw notFound(`No versions of model with name '${name}'${stage} found`)
}

/**
 * A model in a run: below the run's artifacts, or, as clients from 3.0 on log it, a logged model of
 * that name which the run made (MLflow 3.17 `RunsArtifactRepository`).
 */
async function locateInRun(
  client: Client,
  { runId, path }: { runId: string; path: ArtifactPath },
  holdsModel: (location: ArtifactLocation) => Promise<boolean>,
): Promise<ArtifactLocation> {
  const { run } = await client.runs.get({ run_id: runId })
  const { artifact_uri, experiment_id } = run.info
  if (!artifact_uri) throw notFound(`Run '${runId}' has no artifacts.`)
  const location = childLocation(parseLocation(artifact_uri), path)
  if (await holdsModel(location)) return location

  const [name, ...rest] = path
  if (name !== undefined && rest.length === 0) {
    const models = await searchLoggedModels(client, experiment_id, name)
    const model = models.find(({ info }) => info.source_run_id === runId)
    if (model) return parseLocation(model.info.artifact_uri)
  }
  throw notFound(`Run '${runId}' has no model at '${path.join('/')}'.`)
}

/** The logged models of a name, of which servers before 3.0 know none. */
async function searchLoggedModels(client: Client, experimentId: string, name: string) {
  try {
    const { models = [] } = await client.loggedModels.search({
      experiment_ids: [experimentId],
      // No name of a logged model has a quote in it.
      filter: `name = '${name.replaceAll("'", '')}'`,
    })
    return models
  } catch (error) {
    if (error instanceof ApiError && error.code === 'ENDPOINT_NOT_FOUND') return []
    throw error
  }
}

async function holdsModel(
  location: ArtifactLocation,
  tracking: TrackingServer,
  options: FetchOptions,
): Promise<boolean> {
  if (location.scheme === 'file') return existsSync(join(location.path, 'MLmodel'))
  const { store } = treeAt(location, tracking, options)
  const entries = await store.list(parseArtifactPath(''))
  return entries.some(({ path, kind }) => path.at(-1) === 'MLmodel' && kind === 'file')
}

function requireServer(uri: string, tracking: TrackingServer | undefined): TrackingServer {
  if (tracking) return tracking
  throw invalid(
    `'${uri}' is known to a tracking server only: set MLFLOW_TRACKING_URI to its address.`,
  )
}
