import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ApiError, invalid, notFound } from '@millrace/api/errors'
import { isArtifactName } from '@millrace/artifacts/artifact-path'
import type { ArtifactLocation } from '@millrace/artifacts/location'
import { createClient } from '@millrace/client/client'
import type { TrackingServer } from './tracking-server.ts'

/** One file or directory in a directory of artifacts. */
export interface ArtifactEntry {
  name: string
  isDirectory: boolean
}

// A server that lists without end must not fill the disk of whoever asks it.
const ENTRIES_MAX = 100_000
const DEPTH_MAX = 64
const PARALLEL = 4

/**
 * Copies a directory of artifacts into an existing, empty one. Names come from the server, so each
 * is checked to be one plain name before it becomes a file.
 *
 * @throws ApiError RESOURCE_DOES_NOT_EXIST when there is nothing at the location
 */
export async function downloadDirectory(
  location: ArtifactLocation,
  tracking: TrackingServer,
  directory: string,
): Promise<void> {
  const files = await listFiles(location, tracking, directory)
  if (files.length === 0) throw notFound(`There are no artifacts at '${location.uri}'.`)
  const work = async () => {
    for (let file = files.shift(); file; file = files.shift()) {
      await downloadFile(location, file, tracking, directory)
    }
  }
  // All have stopped before the first failure is told, so that the directory can be removed.
  const ends = await Promise.allSettled(Array.from({ length: PARALLEL }, work))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

/** The entries of a directory `segments` below the location. */
export async function listDirectory(
  location: ArtifactLocation,
  segments: readonly string[],
  tracking: TrackingServer,
): Promise<ArtifactEntry[]> {
  const { server, path } = proxied(location, tracking)
  const client = createClient({ baseUrl: server.url, headers: server.headers })
  const { files = [] } = await client.artifacts.listProxied({
    path: [...path, ...segments].join('/'),
  })
  return files.map(({ path, is_dir }) => {
    const name = path.slice(path.lastIndexOf('/') + 1)
    if (!isArtifactName(name)) throw invalid(`The server lists an artifact by the name '${path}'.`)
    return { name, isDirectory: is_dir }
  })
}

/** All files below a location; makes their directories. */
async function listFiles(
  location: ArtifactLocation,
  tracking: TrackingServer,
  directory: string,
): Promise<string[][]> {
  const files: string[][] = []
  const folders: string[][] = [[]]
  for (let folder = folders.shift(); folder; folder = folders.shift()) {
    for (const { name, isDirectory } of await listDirectory(location, folder, tracking)) {
      const path = [...folder, name]
      if (files.length + folders.length >= ENTRIES_MAX || path.length > DEPTH_MAX) {
        throw invalid(`There are too many artifacts at '${location.uri}' for a model.`)
      }
      if (!isDirectory) files.push(path)
      else {
        await mkdir(join(directory, ...path), { mode: 0o700 })
        folders.push(path)
      }
    }
  }
  return files
}

async function downloadFile(
  location: ArtifactLocation,
  file: string[],
  tracking: TrackingServer,
  directory: string,
): Promise<void> {
  const { server, path } = proxied(location, tracking)
  const encoded = [...path, ...file].map(encodeURIComponent).join('/')
  const url = `${server.url}/api/2.0/mlflow-artifacts/artifacts/${encoded}`
  const response = await fetch(url, { headers: server.headers })
  if (!response.ok || !response.body) {
    const text = await response.text()
    throw new ApiError(
      response.status === 404 ? 'RESOURCE_DOES_NOT_EXIST' : 'INTERNAL_ERROR',
      `'${file.join('/')}' could not be downloaded: ${response.status} ${text.slice(0, 300)}`,
    )
  }
  const target = createWriteStream(join(directory, ...file), { flags: 'wx', mode: 0o600 })
  await pipeline(response.body, target)
}

const PROXY_PATH = /^(.*?)\/?api\/2\.0\/mlflow-artifacts\/artifacts(?:\/|$)/

/** The server whose artifact proxy holds a location, and the path there. */
function proxied(location: ArtifactLocation, tracking: TrackingServer) {
  if (location.scheme === 'mlflow-artifacts') {
    const { host, segments } = location
    if (host === undefined) return { server: tracking, path: segments }
    return {
      server: serverAt(`${new URL(tracking.url).protocol}//${host}`, tracking),
      path: segments,
    }
  }
  if (location.scheme === 'other' && /^https?$/.test(location.name)) {
    const path = location.segments.join('/')
    const [matched, prefix] = PROXY_PATH.exec(path) ?? []
    if (matched !== undefined) {
      const url = `${location.name}://${location.authority}${prefix ? `/${prefix}` : ''}`
      return { server: serverAt(url, tracking), path: path.slice(matched.length).split('/') }
    }
  }
  throw invalid(
    `The files at '${location.uri}' cannot be fetched: only a directory of this machine and what a ` +
      'tracking server serves can be. Copy them here and name the directory.',
  )
}

/** Credentials go to no host but the one they are for. */
function serverAt(url: string, tracking: TrackingServer): TrackingServer {
  const isSame = new URL(url).origin === new URL(tracking.url).origin
  return { url, headers: isSame ? tracking.headers : {} }
}
