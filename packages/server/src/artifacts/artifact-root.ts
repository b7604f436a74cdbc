import { sep } from 'node:path'
import { ApiError } from '@millrace/api/errors'
import {
  type ArtifactPath,
  parseArtifactPath,
  percentDecode,
} from '@millrace/artifacts/artifact-path'
import {
  type ArtifactStore,
  type DirectAccess,
  openStore,
} from '@millrace/artifacts/artifact-store'
import {
  type ArtifactLocation,
  type FileLocation,
  parseLocation,
} from '@millrace/artifacts/location'
import type { Settings } from '../config.ts'

/** A directory in a store that this server can reach. */
export interface ArtifactRoot {
  store: ArtifactStore
  base: ArtifactPath
}

/** The locations that whoever started the server chose. */
export function ownLocations(settings: Settings): ArtifactLocation[] {
  return [settings.defaultArtifactRoot, settings.artifactsDestination].map(parseLocation)
}

/** Clients may name many buckets; those asked for last are kept open. */
const STORES_MAX = 64
const storesOf = new WeakMap<Settings, Map<string, ArtifactStore>>()

function storeOf(location: ArtifactLocation, settings: Settings): ArtifactStore {
  const stores = storesOf.get(settings) ?? new Map<string, ArtifactStore>()
  storesOf.set(settings, stores)
  const { s3, azure } = settings
  const store = stores.get(location.uri) ?? openStore(location, { s3, azure })
  stores.delete(location.uri)
  stores.set(location.uri, store)
  const [oldest] = stores.keys()
  if (oldest !== undefined && stores.size > STORES_MAX) stores.delete(oldest)
  return store
}

/** The store behind `mlflow-artifacts:`; 503 when this server does not proxy artifacts. */
export function proxiedStore(settings: Settings): ArtifactStore {
  if (!settings.servesArtifacts) {
    throw new ApiError(
      'TEMPORARILY_UNAVAILABLE',
      'Artifact serving is disabled. Start the server with --serve-artifacts to enable it.',
    )
  }
  return storeOf(parseLocation(settings.artifactsDestination), settings)
}

/** Links to the store behind the proxy, where there is one that has them and clients may. */
export function findDirectAccess(settings: Settings): DirectAccess | undefined {
  const { direct } = proxiedStore(settings)
  return settings.givesLinks ? direct : undefined
}

/**
 * Where the artifacts of a run, model or version are for this server. A local directory or a bucket
 * is reached only below those that whoever started the server has named: a client may keep its
 * artifacts wherever it can write, but cannot have the server's rights read them to it.
 */
export function resolveRoot(artifact_uri: string, settings: Settings): ArtifactRoot {
  const location = parseLocation(artifact_uri)
  const proxied = proxiedPath(location)
  if (proxied) return { store: proxiedStore(settings), base: proxied }
  if (location.scheme !== 'file') return resolveRemote(location, settings)
  const root = settings.localArtifactRoots.find(
    (directory) => location.path === directory || location.path.startsWith(directory + sep),
  )
  if (root === undefined) {
    throw new ApiError(
      'PERMISSION_DENIED',
      'These artifacts are in a directory that this server was not told to serve. Read them ' +
        'where they were written, or name the directory in MILLRACE_LOCAL_ARTIFACT_ROOTS.',
    )
  }
  const below = location.path.slice(root.length).split(sep).filter(Boolean).join('/')
  return { store: storeOf(parseLocation(root), settings), base: parseArtifactPath(below) }
}

type RemoteLocation = Exclude<ArtifactLocation, FileLocation>

/** Runs have locations of their own, and share the store of the root that these are below. */
function resolveRemote(location: RemoteLocation, settings: Settings): ArtifactRoot {
  const { remoteArtifactRoots } = settings
  const named = remoteArtifactRoots.map((uri) => (uri === '*' ? serviceOf(location) : uri))
  const roots = [...ownLocations(settings), ...named.map(parseLocation)]
  const root = roots.find((root) => isWithin(location, root))
  if (root === undefined) {
    throw new ApiError(
      'PERMISSION_DENIED',
      `These artifacts are in '${serviceOf(location)}', which this server was not told to serve. ` +
        'Read them from there, or name it in MILLRACE_REMOTE_ARTIFACT_ROOTS.',
    )
  }
  const depth = root.scheme === 'file' ? 0 : root.segments.length
  const below = location.segments.slice(depth).join('/')
  return { store: storeOf(root, settings), base: parseArtifactPath(below) }
}

function isWithin(location: RemoteLocation, root: ArtifactLocation): boolean {
  return (
    root.scheme !== 'file' &&
    serviceOf(location) === serviceOf(root) &&
    root.segments.every((segment, index) => location.segments[index] === segment)
  )
}

/** The bucket, container or host of a location, as a location of its own. */
function serviceOf(location: RemoteLocation): string {
  if (location.scheme === 's3') return `s3://${location.bucket}`
  if (location.scheme === 'mlflow-artifacts') return `mlflow-artifacts://${location.host ?? ''}/`
  return `${location.name}://${location.authority}`
}

/** Every HTTP route of the proxy begins like this. */
const PROXY_ROUTE = '/api/2.0/mlflow-artifacts/artifacts/'

/**
 * The path behind the artifact proxy, which a default artifact root may also spell with a host or
 * as an HTTP URL. As in MLflow 3.17 `_is_servable_proxied_run_artifact_root` the host is taken to
 * be this server, under whichever of its names: clients cannot store a foreign one.
 */
function proxiedPath(location: ArtifactLocation): ArtifactPath | undefined {
  if (location.scheme === 'mlflow-artifacts') return location.segments
  if (location.scheme !== 'other' || !/^https?$/.test(location.name)) return undefined
  const path = `/${location.segments.join('/')}/`
  const at = path.indexOf(PROXY_ROUTE)
  return at < 0 ? undefined : parseArtifactPath(percentDecode(path.slice(at + PROXY_ROUTE.length)))
}
