import type { IncomingMessage } from 'node:http'
import type { OperationContext } from '../operations/operation.ts'
import type { PlaneSettings } from '../plane-settings.ts'
import type { ObjectStore } from '../s3/object-store.ts'
import type { State } from '../state/open-state.ts'
import { credentialScope } from './credential-scope.ts'

/**
 * Finds out who sends a request and makes the context of its operation.
 *
 * @throws AwsError when the plane has keys and the request is not signed by one of them
 */
export type Caller = (request: IncomingMessage, url: string, body: Buffer) => OperationContext

export interface CallerOptions {
  settings: PlaneSettings
  state: State
  objects: ObjectStore
}

/** Reads the region and the key from the signature of a request. */
export function createCaller({ settings, state, objects }: CallerOptions): Caller {
  return ({ headers }, url) => {
    const scope = credentialScope(headers.authorization, url)
    return {
      settings,
      state,
      objects,
      region: scope?.region ?? settings.region,
      accessKeyId: scope?.accessKeyId,
    }
  }
}
