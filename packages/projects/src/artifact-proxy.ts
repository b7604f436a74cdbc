import { createReadStream, openAsBlob } from 'node:fs'
import { Readable } from 'node:stream'
import { ApiError, notFound } from '@millrace/api/errors'
import {
  type ArtifactPath,
  joinArtifactPaths,
  parseArtifactPath,
} from '@millrace/artifacts/artifact-path'
import {
  type ArtifactStore,
  openStore,
  type StoreOptions,
} from '@millrace/artifacts/artifact-store'
import type { ArtifactLocation } from '@millrace/artifacts/location'
import type { TrackingServer } from '@millrace/models/tracking-server'
import { IMPATIENT, PATIENT, patientFetch, trackingClient } from './tracking-client.ts'

/** Files by their whole path in a bucket or behind a server, which a stores' own root is not. */
export interface FileAccess {
  root: ArtifactPath
  list(path: ArtifactPath): Promise<{ kind: 'file' | 'directory'; path: ArtifactPath }[]>
  open(path: ArtifactPath): Promise<{ body: Readable }>
  /** Stores a file of this machine. */
  upload(path: ArtifactPath, file: string): Promise<unknown>
}

const PROXY_PATH = /^(.*?)\/?api\/2\.0\/mlflow-artifacts\/artifacts(?:\/|$)/

/** How files at a location are reached, and their path there; undefined when there is no way. */
export function fileAccess(
  location: ArtifactLocation,
  { tracking, stores }: { tracking: TrackingServer; stores: StoreOptions },
): FileAccess | undefined {
  if (location.scheme === 'file') {
    return storeAccess(openStore(location, stores), parseArtifactPath(''))
  }
  if (location.scheme === 's3') {
    const bucket = { ...location, segments: parseArtifactPath('') }
    return storeAccess(openStore(bucket, stores), location.segments)
  }
  if (location.scheme === 'mlflow-artifacts') {
    const { host, segments } = location
    const url = host === undefined ? undefined : `${new URL(tracking.url).protocol}//${host}`
    return proxyAccess(url === undefined ? tracking : serverAt(url, tracking), segments)
  }
  if (!/^https?$/.test(location.name)) return undefined
  const path = location.segments.join('/')
  const [matched, prefix] = PROXY_PATH.exec(path) ?? []
  if (matched === undefined) return undefined
  const url = `${location.name}://${location.authority}${prefix ? `/${prefix}` : ''}`
  return proxyAccess(serverAt(url, tracking), parseArtifactPath(path.slice(matched.length)))
}

function storeAccess(store: ArtifactStore, root: ArtifactPath): FileAccess {
  return {
    root,
    list: (path) => store.list(path),
    open: (path) => store.open(path),
    upload: (path, file) => store.write(path, createReadStream(file)),
  }
}

/** Credentials go to no host but the one they are for. */
function serverAt(url: string, tracking: TrackingServer): TrackingServer {
  const isSame = new URL(url).origin === new URL(tracking.url).origin
  return { url, headers: isSame ? tracking.headers : {} }
}

function proxyAccess(server: TrackingServer, root: ArtifactPath): FileAccess {
  const client = trackingClient(server, IMPATIENT)
  const urlOf = (path: ArtifactPath) =>
    `${server.url}/api/2.0/mlflow-artifacts/artifacts/${path.map(encodeURIComponent).join('/')}`
  return {
    root,
    async list(path) {
      const { files = [] } = await client.artifacts.listProxied({ path: path.join('/') })
      return files.map(({ path: name, is_dir }) => ({
        kind: is_dir ? 'directory' : 'file',
        path: joinArtifactPaths(path, parseArtifactPath(name.slice(name.lastIndexOf('/') + 1))),
      }))
    },
    async open(path) {
      const init = { headers: server.headers }
      const response = await patientFetch(server, urlOf(path), init, IMPATIENT)
      if (response.ok && response.body) return { body: Readable.from(response.body) }
      throw await refusal(response, path, 'downloaded')
    },
    async upload(path, file) {
      const init = { method: 'PUT', headers: server.headers, body: await openAsBlob(file) }
      const response = await patientFetch(server, urlOf(path), init, PATIENT)
      if (!response.ok) throw await refusal(response, path, 'uploaded')
      await response.body?.cancel()
    },
  }
}

async function refusal(response: Response, path: ArtifactPath, what: string): Promise<Error> {
  const text = (await response.text()).slice(0, 300)
  const name = path.join('/')
  if (response.status === 404) return notFound(`There is no artifact '${name}'.`)
  return new ApiError('INVALID_STATE', `'${name}' could not be ${what}: ${response.status} ${text}`)
}
