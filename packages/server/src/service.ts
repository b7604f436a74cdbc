import type { Api } from '@millrace/api/api'
import type { Handlers } from './handlers.ts'

/** The MLflow release whose surface is served; clients below 3.4 would send spans as files. */
export const MLFLOW_VERSION = '3.17.2'

export const service: Handlers<Api['service']> = {
  async serverInfo() {
    return {
      store_type: 'SqlStore',
      workspaces_enabled: false,
      trace_archival_enabled: false,
      multipart_uploads_enabled: false,
      multipart_downloads_enabled: false,
      presigned_upload_run_id_supported: true,
      presigned_upload_model_id_supported: true,
      features_enabled: { gateway: false },
    }
  },
}
