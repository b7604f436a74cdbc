import { z } from 'zod'
import { endpoint } from './endpoint.ts'

/** What a server can do, as 3.x clients probe it. */
export const ServerInfo = z.object({
  store_type: z.string(),
  workspaces_enabled: z.boolean(),
  trace_archival_enabled: z.boolean(),
  multipart_uploads_enabled: z.boolean(),
  multipart_downloads_enabled: z.boolean(),
  presigned_upload_run_id_supported: z.boolean(),
  presigned_upload_model_id_supported: z.boolean(),
  features_enabled: z.object({ gateway: z.boolean() }),
})

export const service = {
  serverInfo: endpoint({
    method: 'GET',
    path: '/mlflow/server-info',
    version: '3.0',
    summary: 'What this server can do.',
    access: 'public',
    effect: 'read',
    input: z.object({}),
    output: ServerInfo,
  }),
}
