import { sep } from 'node:path'
import { ApiError } from '@millrace/api/errors'
import {
  type ArtifactPath,
  parseArtifactPath,
  percentDecode,
} from '@millrace/artifacts/artifact-path'
import { type ArtifactStore, openStore } from '@millrace/artifacts/artifact-store'
import { type ArtifactLocation, parseLocation } from '@millrace/artifacts/location'
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

const stores = new Map<string, ArtifactStore>()

function storeOf(location: ArtifactLocation): ArtifactStore {
  const kept = stores.get(location.uri)
  if (kept) return kept
  const store = openStore(location)
  stores.set(location.uri, store)
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
  return storeOf(parseLocation(settings.artifactsDestination))
}

/**
 * Where the artifacts of a run, model or version are for this server. A local directory is reached
 * only below those that whoever started the server has named: a client may keep its artifacts in
 * any directory of its own, but cannot have the server read one to it.
 */
export function resolveRoot(artifact_uri: string, settings: Settings): ArtifactRoot {
  const location = parseLocation(artifact_uri)
  const proxied = proxiedPath(location)
  if (proxied) return { store: proxiedStore(settings), base: proxied }
  if (location.scheme !== 'file') return { store: storeOf(location), base: parseArtifactPath('') }
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
  return { store: storeOf(parseLocation(root)), base: parseArtifactPath(below) }
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
