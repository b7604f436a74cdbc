import type { Api } from '@millrace/api/api'
import { findDirectAccess } from './artifacts/artifact-root.ts'
import type { Handlers } from './handlers.ts'

/**
 * What `/version` reports. From 3.4 on clients send spans by OTLP, which is not served, so the newest
 * release below that is named.
 */
export const MLFLOW_VERSION = '3.3.2'

export const service: Handlers<Api['service']> = {
  async serverInfo({ settings }) {
    const hasLinks = settings.servesArtifacts && findDirectAccess(settings) !== undefined
    return {
      store_type: 'SqlStore',
      workspaces_enabled: false,
      trace_archival_enabled: false,
      multipart_uploads_enabled: hasLinks,
      multipart_downloads_enabled: hasLinks,
      presigned_upload_run_id_supported: true,
      presigned_upload_model_id_supported: true,
      features_enabled: { gateway: false },
    }
  },
}
