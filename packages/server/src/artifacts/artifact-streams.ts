import type { Streams } from '@millrace/api/api'
import { invalid } from '@millrace/api/errors'
import {
  type ArtifactPath,
  joinArtifactPaths,
  parseArtifactPath,
} from '@millrace/artifacts/artifact-path'
import { contentType } from '@millrace/artifacts/content-type'
import type { Download, StreamHandlers, StreamRequest } from '../handlers.ts'
import { getModelVersion } from '../registry/model-version-store.ts'
import { getLoggedModel } from '../tracking/logged-model-store.ts'
import { getRun, requireRunId } from '../tracking/run-store.ts'
import { type ArtifactRoot, proxiedStore, resolveRoot } from './artifact-root.ts'

/** Most bytes that pages may upload in one go (3.17 `upload_artifact_handler`). */
const PAGE_UPLOAD_MAX_BYTES = 10 * 1024 * 1024

export const artifactStreams: StreamHandlers<Streams['artifacts']> = {
  async downloadProxied({ settings }, { path }, request) {
    const root = { store: proxiedStore(settings), base: parseArtifactPath('') }
    return download(root, requireFile(path), request)
  },

  async uploadProxied({ settings, signal }, { path }, { body, sizeBytes }) {
    const target = requireFile(path)
    const length = sizeBytes === undefined ? {} : { sizeBytes }
    await proxiedStore(settings).write(target, body, { signal, ...length })
    return undefined
  },

  async getArtifact({ db, settings }, input, request) {
    const path = requirePath(input.path)
    const run = await getRun(db, requireRunId(input))
    return download(resolveRoot(run.artifact_uri, settings), path, request)
  },

  async getModelVersionArtifact({ db, caller, settings }, input, request) {
    const path = requirePath(input.path)
    const { name = '', version = '' } = input
    const { storage_location } = await getModelVersion(db, caller.workspace, name, version)
    return download(resolveRoot(storage_location, settings), path, request)
  },

  async getLoggedModelArtifact({ db, settings }, { model_id, artifact_file_path }, request) {
    const path = requirePath(artifact_file_path, 'artifact_file_path')
    const { artifact_location } = await getLoggedModel(db, model_id)
    return download(resolveRoot(artifact_location, settings), path, request)
  },

  async uploadArtifact({ db, settings, signal }, input, { body, sizeBytes }) {
    if (!(input.run_uuid || input.run_id)) throw invalid('Request must specify run_uuid.')
    if (!input.path) throw invalid('Request must specify path.')
    const path = requirePath(input.path)
    if (sizeBytes === 0) throw invalid('Request must specify data.')
    if (sizeBytes !== undefined && sizeBytes > PAGE_UPLOAD_MAX_BYTES) {
      throw invalid('Artifact size is too large. Max size is 10MB.')
    }
    const run = await getRun(db, requireRunId(input))
    const { store, base } = resolveRoot(run.artifact_uri, settings)
    const sizeMaxBytes = PAGE_UPLOAD_MAX_BYTES
    await store.write(joinArtifactPaths(base, path), body, { signal, sizeMaxBytes })
    return undefined
  },
}

function requirePath(text: string | undefined, name = 'path'): ArtifactPath {
  if (!text) throw invalid(`Request must specify ${name}.`)
  return requireFile(text)
}

function requireFile(text: string): ArtifactPath {
  const path = parseArtifactPath(text)
  if (path.length === 0) throw invalid('Invalid path')
  if (text.endsWith('/')) {
    throw invalid("Artifact path must include a filename (cannot end with '/').")
  }
  return path
}

async function download(
  { store, base }: ArtifactRoot,
  path: ArtifactPath,
  { range, ifRange }: StreamRequest,
): Promise<Download> {
  const filename = path.at(-1) ?? ''
  const artifact = await store.open(joinArtifactPaths(base, path), {
    ...(range && { range }),
    ...(ifRange !== undefined && { ifRange }),
  })
  return { ...artifact, filename, contentType: contentType(filename) }
}
