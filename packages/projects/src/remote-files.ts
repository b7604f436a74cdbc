import { createWriteStream } from 'node:fs'
import { cp, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { invalid, notFound } from '@millrace/api/errors'
import { type ArtifactPath, parseArtifactPath } from '@millrace/artifacts/artifact-path'
import type { StoreOptions } from '@millrace/artifacts/artifact-store'
import { type ArtifactLocation, childLocation, parseLocation } from '@millrace/artifacts/location'
import { createClient } from '@millrace/client/client'
import { fetchModel } from '@millrace/models/fetch-model'
import type { TrackingServer } from '@millrace/models/tracking-server'
import { type FileAccess, fileAccess } from './artifact-proxy.ts'

export interface RemoteOptions {
  tracking: TrackingServer
  stores: StoreOptions
  signal: AbortSignal
}

const FILES_MAX = 100_000

/**
 * Copies what a URI names into an existing, empty directory, and gives the path of the file or
 * directory there: `runs:/`, `models:/`, `mlflow-artifacts:`, `s3://`, and HTTP.
 *
 * @throws ApiError when there is nothing, or no way to fetch it
 */
export async function fetchRemote(
  uri: string,
  directory: string,
  options: RemoteOptions,
): Promise<string> {
  if (uri.startsWith('models:/')) return fetchModelFiles(uri, directory, options)
  const location = uri.startsWith('runs:/') ? await locateInRun(uri, options) : parseLocation(uri)
  if (location.scheme === 'file') return location.path
  const access = fileAccess(location, options)
  if (access) return copyFrom(access, directory, options.signal)
  if (location.scheme === 'other' && /^https?$/.test(location.name)) {
    return downloadFile(
      location.uri,
      join(directory, location.segments.at(-1) ?? 'download'),
      options,
    )
  }
  throw invalid(`'${uri}' cannot be fetched: there is no store for its scheme here.`)
}

async function fetchModelFiles(uri: string, directory: string, options: RemoteOptions) {
  await using model = await fetchModel(uri, options.tracking, options)
  const target = join(directory, 'model')
  await cp(model.directory, target, { recursive: true })
  return target
}

async function locateInRun(uri: string, { tracking }: RemoteOptions): Promise<ArtifactLocation> {
  const [, runId, path] = /^runs:\/+([^/]+)\/+(.+)$/.exec(uri) ?? []
  if (!runId || !path) throw invalid(`'${uri}' is not runs:/<run id>/<path>.`)
  const client = createClient({ baseUrl: tracking.url, headers: tracking.headers })
  const { run } = await client.runs.get({ run_id: runId })
  if (!run.info.artifact_uri) throw notFound(`Run '${runId}' has no artifacts.`)
  return childLocation(parseLocation(run.info.artifact_uri), parseArtifactPath(path))
}

/** A location is a directory or one file, which only a look at it tells. */
async function copyFrom(
  access: FileAccess,
  directory: string,
  signal: AbortSignal,
): Promise<string> {
  signal.throwIfAborted()
  const target = join(directory, access.root.at(-1) ?? 'artifacts')
  const copied = await copyAll(access, target)
  if (copied === 0) await copyFile(access, access.root, target)
  return target
}

/** How many files were copied: none when the path is no directory. */
export async function copyAll(access: FileAccess, target: string): Promise<number> {
  let copied = 0
  const folders: ArtifactPath[] = [access.root]
  for (let folder = folders.shift(); folder; folder = folders.shift()) {
    for (const entry of await access.list(folder)) {
      copied += 1
      if (copied > FILES_MAX) throw invalid(`There are more than ${FILES_MAX} files to fetch.`)
      if (entry.kind === 'directory') folders.push(entry.path)
      else {
        const below = entry.path.slice(access.root.length)
        await copyFile(access, entry.path, join(target, ...below))
      }
    }
  }
  return copied
}

async function copyFile(access: FileAccess, path: ArtifactPath, target: string): Promise<void> {
  const { body } = await access.open(path)
  await write(body, target)
}

async function write(body: Readable | ReadableStream<Uint8Array>, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true, mode: 0o700 })
  await pipeline(body, createWriteStream(target, { flags: 'wx', mode: 0o600 }))
}

async function downloadFile(
  url: string,
  target: string,
  { signal }: RemoteOptions,
): Promise<string> {
  const response = await fetch(url, { signal }).catch((error: Error) => {
    throw invalid(`'${url}' cannot be fetched: ${error.message}`)
  })
  if (!response.ok || !response.body) {
    await response.body?.cancel()
    throw notFound(`'${url}' cannot be fetched: the server answered ${response.status}.`)
  }
  await write(response.body, target)
  return target
}
