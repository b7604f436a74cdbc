import type { StoreOptions } from '@millrace/artifacts/artifact-store'
import type { TrackingServer } from '@millrace/models/tracking-server'
import type { Backends } from '@millrace/projects/backend'
import { trackingOf } from './models-options.ts'

const DEFAULT_SERVER = 'http://127.0.0.1:5000'

/** The tracking server of the environment, or the one that `millrace server` starts. */
export function trackingUriOf(environment: NodeJS.ProcessEnv): {
  trackingUri: string
  tracking: TrackingServer
} {
  const uri = environment['MLFLOW_TRACKING_URI'] || DEFAULT_SERVER
  const tracking = trackingOf({ ...environment, MLFLOW_TRACKING_URI: uri })
  if (!tracking) throw new Error(`The tracking URI '${uri}' is not that of a server.`)
  return { trackingUri: uri, tracking }
}

/** Where projects can run. */
export async function backends(): Promise<Backends> {
  const { BUILT_IN_BACKENDS } = await import('@millrace/projects/backend')
  return {
    ...BUILT_IN_BACKENDS,
    sagemaker: async () =>
      (await import('@millrace/sagemaker/project-backend/sagemaker-backend')).sagemakerBackend,
  }
}

/** How stores are reached from the command line. */
export async function readStores(environment: NodeJS.ProcessEnv): Promise<StoreOptions> {
  return (await import('@millrace/artifacts/store-environment')).readStoreOptions(environment)
}

/** Reads a JSON object; `where` is what a refusal names. */
export function jsonObject(text: string, where: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`${where} is not JSON: ${reason}`)
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>
  }
  throw new Error(`${where} must be a JSON object.`)
}
