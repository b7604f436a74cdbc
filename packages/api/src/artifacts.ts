import { z } from 'zod'
import { endpoint, streamEndpoint } from './endpoint.ts'
import { Id, Int64, NextPageToken, RequiredId, RequiredText } from './wire.ts'

export const FileInfo = z.object({
  path: z.string(),
  is_dir: z.boolean(),
  file_size: Int64.optional(),
})
export type FileInfo = z.output<typeof FileInfo>

/**
 * What the body of an upload in parts calls `path`, beside the directory in the URL: the file on
 * the client's disk, of which only the name counts.
 */
const BodyPath = z.string().optional()

const readPath = { permission: 'READ', on: 'artifact_path', field: 'path' } as const
const editPath = { permission: 'EDIT', on: 'artifact_path', field: 'path' } as const

/** Artifacts of runs, and the JSON half of the proxied store. */
export const artifacts = {
  list: endpoint({
    method: 'GET',
    path: '/mlflow/artifacts/list',
    summary: 'List one directory of the artifacts of a run.',
    access: { permission: 'READ', on: 'run', field: 'run_id' },
    effect: 'read',
    input: z.object({
      run_id: z.string().optional(),
      run_uuid: z.string().optional(),
      path: z.string().optional(),
      page_token: z.string().optional(),
    }),
    output: z.object({
      root_uri: z.string(),
      files: z.array(FileInfo).optional(),
      next_page_token: NextPageToken,
    }),
  }),
  listProxied: endpoint({
    method: 'GET',
    path: '/mlflow-artifacts/artifacts',
    summary: 'List one directory of the proxied store; paths are relative to it.',
    access: readPath,
    effect: 'read',
    input: z.object({ path: z.string().optional() }),
    output: z.object({ files: z.array(FileInfo).optional() }),
  }),
  deleteProxied: endpoint({
    method: 'DELETE',
    path: '/mlflow-artifacts/artifacts/*',
    summary: 'Delete a file or directory of the proxied store; deleting nothing is fine.',
    access: editPath,
    effect: 'artifacts',
    input: z.object({ path: z.string() }),
    output: z.object({}),
  }),
  createMultipartUpload: endpoint({
    method: 'POST',
    path: '/mlflow-artifacts/mpu/create/*',
    summary: 'Begin an upload in parts, on stores that have them.',
    access: editPath,
    effect: 'artifacts',
    input: z.object({ path: z.string(), body_path: BodyPath, num_parts: Int64.optional() }),
    output: z.object({
      upload_id: z.string(),
      credentials: z.array(
        z.object({
          url: z.string(),
          part_number: Int64,
          headers: z.record(z.string(), z.string()).optional(),
        }),
      ),
    }),
  }),
  completeMultipartUpload: endpoint({
    method: 'POST',
    path: '/mlflow-artifacts/mpu/complete/*',
    summary: 'Finish an upload in parts.',
    access: editPath,
    effect: 'artifacts',
    input: z.object({
      path: z.string(),
      body_path: BodyPath,
      upload_id: z.string().optional(),
      parts: z
        .array(
          z.object({
            part_number: Int64.optional(),
            etag: z.string().optional(),
            url: z.string().optional(),
          }),
        )
        .optional(),
    }),
    output: z.object({}),
  }),
  abortMultipartUpload: endpoint({
    method: 'POST',
    path: '/mlflow-artifacts/mpu/abort/*',
    summary: 'Give up an upload in parts.',
    access: editPath,
    effect: 'artifacts',
    input: z.object({
      path: z.string(),
      body_path: BodyPath,
      upload_id: z.string().optional(),
    }),
    output: z.object({}),
  }),
  presignedDownload: endpoint({
    method: 'GET',
    path: '/mlflow-artifacts/presigned/*',
    summary: 'A link that downloads straight from the store, on stores that have them.',
    access: readPath,
    effect: 'read',
    input: z.object({ path: z.string() }),
    output: z.object({
      url: z.string(),
      headers: z.record(z.string(), z.string()),
      file_size: Int64.optional(),
    }),
  }),
  presignedUploadUrl: endpoint({
    method: 'POST',
    path: '/mlflow/artifacts/presigned-upload-url',
    summary: 'A link that uploads one artifact of a run or logged model straight to its store.',
    access: 'signed-in',
    effect: 'read',
    input: z.object({
      run_id: z.string().optional(),
      model_id: z.string().optional(),
      path: RequiredText,
      expiration: Int64.optional(),
    }),
    output: z.object({ presigned_url: z.string(), headers: z.record(z.string(), z.string()) }),
  }),
  presignedDownloadUrl: endpoint({
    method: 'POST',
    path: '/mlflow/artifacts/presigned-download-url',
    summary: 'A link that downloads one artifact of a run straight from its store.',
    access: { permission: 'READ', on: 'run', field: 'run_id' },
    effect: 'read',
    input: z.object({ run_id: RequiredText, path: RequiredText, expiration: Int64.optional() }),
    output: z.object({
      presigned_url: z.string(),
      headers: z.record(z.string(), z.string()),
      file_size: Int64.optional(),
    }),
  }),
}

/** Artifact bytes in and out. */
export const artifactStreams = {
  downloadProxied: streamEndpoint({
    method: 'GET',
    mount: 'api',
    path: '/mlflow-artifacts/artifacts/*',
    summary: 'Download a file of the proxied store; ranges are served.',
    access: readPath,
    direction: 'download',
    input: z.object({ path: z.string() }),
  }),
  uploadProxied: streamEndpoint({
    method: 'PUT',
    mount: 'api',
    path: '/mlflow-artifacts/artifacts/*',
    summary: 'Upload a file to the proxied store; a file of that name is replaced.',
    access: editPath,
    direction: 'upload',
    input: z.object({ path: z.string() }),
  }),
  getArtifact: streamEndpoint({
    method: 'GET',
    mount: 'root',
    path: '/get-artifact',
    summary: 'Download an artifact of a run.',
    access: { permission: 'READ', on: 'run', field: 'run_id' },
    direction: 'download',
    input: z.object({
      run_id: z.string().optional(),
      run_uuid: z.string().optional(),
      path: z.string().optional(),
    }),
  }),
  getModelVersionArtifact: streamEndpoint({
    method: 'GET',
    mount: 'root',
    path: '/model-versions/get-artifact',
    summary: 'Download an artifact of a model version.',
    access: { permission: 'READ', on: 'registered_model', field: 'name' },
    direction: 'download',
    input: z.object({
      name: z.string().optional(),
      version: Id.optional(),
      path: z.string().optional(),
    }),
  }),
  getLoggedModelArtifact: streamEndpoint({
    method: 'GET',
    mount: 'ajax-api',
    path: '/mlflow/logged-models/:model_id/artifacts/files',
    summary: 'Download an artifact of a logged model.',
    access: { permission: 'READ', on: 'logged_model', field: 'model_id' },
    direction: 'download',
    input: z.object({ model_id: RequiredId, artifact_file_path: z.string().optional() }),
  }),
  uploadArtifact: streamEndpoint({
    method: 'POST',
    mount: 'ajax-api',
    path: '/mlflow/upload-artifact',
    summary: 'Upload a small artifact of a run from a page.',
    access: { permission: 'EDIT', on: 'run', field: 'run_id' },
    direction: 'upload',
    input: z.object({
      run_id: z.string().optional(),
      run_uuid: z.string().optional(),
      path: z.string().optional(),
    }),
  }),
}
