import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { findKey } from '../auth/session-credentials.ts'
import { verifySigV4 } from '../auth/sigv4.ts'
import { SigV4Error } from '../auth/sigv4-error.ts'
import type { OperationContext } from '../operations/operation.ts'
import type { AccessKey, PlaneSettings } from '../plane-settings.ts'
import type { ImageStore } from '../registry/image-store.ts'
import type { ObjectStore } from '../s3/object-store.ts'
import type { State } from '../state/open-state.ts'
import { AwsError } from './aws-error.ts'
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
  images: ImageStore
}

// S3 allows fifteen.
const CLOCK_SKEW_MS = 5 * 60 * 1000

/** Checks the signature of a request when the plane has keys, and reads its region and its key. */
export function createCaller({ settings, state, objects, images }: CallerOptions): Caller {
  const { accessKeys } = settings
  return (request, url, body) => {
    const { headers } = request
    if (accessKeys.length > 0) verify(request, url, body, accessKeys)
    const scope = credentialScope(headers.authorization, url)
    return {
      settings,
      state,
      objects,
      images,
      region: scope?.region ?? settings.region,
      accessKeyId: scope?.accessKeyId,
      userAgent: headers['user-agent'] ?? '',
    }
  }
}

function verify(request: IncomingMessage, url: string, body: Buffer, keys: AccessKey[]): void {
  const { method = 'GET', headers } = request
  try {
    verifySigV4(
      { method, url, headers },
      {
        findKey: findKey(keys),
        bodySha256: createHash('sha256').update(body).digest('hex'),
        clockSkewMaxMs: CLOCK_SKEW_MS,
      },
    )
  } catch (cause) {
    if (!(cause instanceof SigV4Error)) throw cause
    throw new AwsError(cause.jsonCode, cause.message, { status: 403, cause })
  }
}
