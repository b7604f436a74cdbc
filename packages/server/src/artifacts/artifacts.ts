import type { Api } from '@millrace/api/api'
import { ApiError, invalid } from '@millrace/api/errors'
import {
  type ArtifactPath,
  joinArtifactPaths,
  parseArtifactPath,
} from '@millrace/artifacts/artifact-path'
import type { DirectAccess } from '@millrace/artifacts/artifact-store'
import { parseLocation } from '@millrace/artifacts/location'
import type { Settings } from '../config.ts'
import type { Db } from '../db/dialect.ts'
import type { Handlers } from '../handlers.ts'
import { getLoggedModel } from '../tracking/logged-model-store.ts'
import { getRun, requireRunId } from '../tracking/run-store.ts'
import { findDirectAccess, proxiedStore, resolveRoot } from './artifact-root.ts'
import { listDirectory, toFileInfo } from './list-directory.ts'

export const artifacts: Handlers<Api['artifacts']> = {
  async list({ db, settings }, input) {
    const run = await getRun(db, requireRunId(input))
    const files = await listDirectory(run.artifact_uri, input.path, settings)
    return { root_uri: run.artifact_uri, ...(files.length > 0 && { files }) }
  },

  async listProxied({ settings }, { path = '' }) {
    const directory = parseArtifactPath(path)
    const entries = await proxiedStore(settings).list(directory)
    const files = entries.map((entry) => toFileInfo(entry, directory.length))
    return files.length > 0 ? { files } : {}
  },

  async deleteProxied({ settings }, { path }) {
    const target = parseArtifactPath(path)
    if (target.length === 0) throw invalid('Invalid path')
    await proxiedStore(settings).delete(target)
    return {}
  },

  async createMultipartUpload({ settings }, { path, body_path, num_parts }) {
    const directory = parseArtifactPath(path)
    const direct = requireDirect(settings, 'Multipart upload')
    const target = partsTarget(directory, body_path)
    const { uploadId, urls } = await direct.createParts(target, Number(num_parts ?? 1))
    const credentials = urls.map((url, index) => ({ url, part_number: index + 1, headers: {} }))
    return { upload_id: uploadId, credentials }
  },

  async completeMultipartUpload({ settings }, { path, body_path, upload_id, parts }) {
    const directory = parseArtifactPath(path)
    const direct = requireDirect(settings, 'Multipart upload')
    const target = partsTarget(directory, body_path)
    if (!parts?.length) throw missing('parts')
    const uploaded = parts.map(({ part_number, etag = '' }) => ({
      number: Number(part_number ?? 0),
      etag,
    }))
    await direct.completeParts(target, requireUploadId(upload_id), uploaded)
    return {}
  },

  async abortMultipartUpload({ settings }, { path, body_path, upload_id }) {
    const directory = parseArtifactPath(path)
    const direct = requireDirect(settings, 'Multipart upload')
    await direct.abortParts(partsTarget(directory, body_path), requireUploadId(upload_id))
    return {}
  },

  async presignedDownload({ settings }, { path }) {
    const target = parseArtifactPath(path)
    const direct = requireDirect(settings, 'Multipart download')
    const seconds = settings.presignedDownloadSeconds
    const { url, headers, sizeBytes } = await direct.presignDownload(target, seconds)
    return { url, headers, file_size: sizeBytes }
  },

  async presignedUploadUrl({ db, settings }, { run_id, model_id, path, expiration }) {
    if ((run_id === undefined) === (model_id === undefined)) {
      throw invalid('Exactly one of run_id and model_id must be provided.')
    }
    const below = parseArtifactPath(path)
    const seconds = linkSeconds(expiration, UPLOAD_LINK_SECONDS)
    const uri = await artifactUri(db, run_id, model_id)
    const { direct, base } = directRoot(uri, settings, 'upload')
    const { url, headers } = await direct.presignUpload(joinArtifactPaths(base, below), seconds)
    return { presigned_url: url, headers }
  },

  async presignedDownloadUrl({ db, settings }, { run_id, path, expiration }) {
    const below = parseArtifactPath(path)
    const seconds = linkSeconds(expiration, settings.presignedDownloadSeconds)
    const uri = await artifactUri(db, run_id, undefined)
    const { direct, base } = directRoot(uri, settings, 'download')
    const { url, headers, sizeBytes } = await direct.presignDownload(
      joinArtifactPaths(base, below),
      seconds,
    )
    return { presigned_url: url, headers, file_size: sizeBytes }
  },
}

/** As in MLflow 3.17 `_create_presigned_upload_url`. */
const UPLOAD_LINK_SECONDS = 900
const LINK_SECONDS_MAX = 604_800

/** Clients fall back to requests through this server on a 501. */
function requireDirect(settings: Settings, feature: string): DirectAccess {
  const direct = findDirectAccess(settings)
  if (direct) return direct
  throw new ApiError(
    'NOT_IMPLEMENTED',
    `${feature} is not supported for the current artifact repository`,
  )
}

/** The file of an upload in parts: the URL has its directory, the body a path on the client's disk. */
function partsTarget(directory: ArtifactPath, localPath: string | undefined): ArtifactPath {
  const name = localPath?.split(/[\\/]/).at(-1)
  if (!name) throw missing('path')
  const file = parseArtifactPath(name)
  if (file.length === 0) throw invalid('Invalid path')
  return joinArtifactPaths(directory, file)
}

function requireUploadId(upload_id: string | undefined): string {
  if (!upload_id) throw missing('upload_id')
  return upload_id
}

function missing(field: string): ApiError {
  return invalid(
    `Missing value for required parameter '${field}'. ` +
      'See the API docs for more information about request parameters.',
  )
}

function linkSeconds(expiration: number | bigint | undefined, byDefault: number): number {
  const seconds = Number(expiration ?? byDefault)
  if (seconds >= 1 && seconds <= LINK_SECONDS_MAX) return seconds
  throw invalid(`expiration must be between 1 and ${LINK_SECONDS_MAX} seconds (got ${expiration}).`)
}

async function artifactUri(db: Db, run_id = '', model_id: string | undefined): Promise<string> {
  if (model_id !== undefined) return (await getLoggedModel(db, model_id)).artifact_location
  return (await getRun(db, run_id)).artifact_uri
}

/** Where links of a run or model lead to; never behind the proxy, which has links of its own. */
function directRoot(artifact_uri: string, settings: Settings, direction: 'upload' | 'download') {
  const location = parseLocation(artifact_uri)
  const scheme = location.scheme === 'other' ? location.name : location.scheme
  if (['mlflow-artifacts', 'http', 'https'].includes(scheme)) {
    throw invalid(
      `Presigned ${direction} is not supported for proxied artifact storage (artifact URI scheme: ${scheme}).`,
    )
  }
  const refusal = () =>
    new ApiError(
      'NOT_IMPLEMENTED',
      `Presigned ${direction} is not supported for the artifact store of '${scheme}' URIs.`,
    )
  if (location.scheme !== 's3') throw refusal()
  const { store, base } = resolveRoot(artifact_uri, settings)
  if (!store.direct || !settings.givesLinks) throw refusal()
  return { direct: store.direct, base }
}
