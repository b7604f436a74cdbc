import type { Api } from '@millrace/api/api'
import { ApiError, invalid } from '@millrace/api/errors'
import { parseArtifactPath } from '@millrace/artifacts/artifact-path'
import { parseLocation } from '@millrace/artifacts/location'
import type { Settings } from '../config.ts'
import type { Db } from '../db/dialect.ts'
import type { Handlers } from '../handlers.ts'
import { getLoggedModel } from '../tracking/logged-model-store.ts'
import { getRun, requireRunId } from '../tracking/run-store.ts'
import { proxiedStore } from './artifact-root.ts'
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

  createMultipartUpload: refuseMultipart('upload'),
  completeMultipartUpload: refuseMultipart('upload'),
  abortMultipartUpload: refuseMultipart('upload'),
  presignedDownload: refuseMultipart('download'),

  async presignedUploadUrl({ db }, { run_id, model_id, path }) {
    if ((run_id === undefined) === (model_id === undefined)) {
      throw invalid('Exactly one of run_id and model_id must be provided.')
    }
    parseArtifactPath(path)
    throw refusePresigning('upload', await artifactUri(db, run_id, model_id))
  },

  async presignedDownloadUrl({ db }, { run_id, path }) {
    parseArtifactPath(path)
    throw refusePresigning('download', await artifactUri(db, run_id, undefined))
  },
}

/** Uploads in parts need a store that has them; clients fall back to one request on a 501. */
function refuseMultipart(direction: 'upload' | 'download') {
  return async ({ settings }: { settings: Settings }, { path }: { path: string }) => {
    parseArtifactPath(path)
    proxiedStore(settings)
    throw new ApiError(
      'NOT_IMPLEMENTED',
      `Multipart ${direction} is not supported for the current artifact repository`,
    )
  }
}

async function artifactUri(db: Db, run_id = '', model_id: string | undefined): Promise<string> {
  if (model_id !== undefined) return (await getLoggedModel(db, model_id)).artifact_location
  return (await getRun(db, run_id)).artifact_uri
}

function refusePresigning(direction: 'upload' | 'download', artifact_uri: string): ApiError {
  const location = parseLocation(artifact_uri)
  if (location.scheme === 'mlflow-artifacts') {
    return invalid(
      `Presigned ${direction} is not supported for proxied artifact storage (artifact URI scheme: mlflow-artifacts).`,
    )
  }
  return new ApiError(
    'NOT_IMPLEMENTED',
    `Presigned ${direction} is not supported for the artifact store of '${location.scheme}' URIs.`,
  )
}
