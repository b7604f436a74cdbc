import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { findKey } from '../auth/session-credentials.ts'
import { verifySigV4 } from '../auth/sigv4.ts'
import { SigV4Error } from '../auth/sigv4-error.ts'
import { type OperationContext, SIGNING_NAMES } from '../operations/operation.ts'
import type { AccessKey, PlaneSettings } from '../plane-settings.ts'
import type { ImageStore } from '../registry/image-store.ts'
import type { ObjectStore } from '../s3/object-store.ts'
import type { State } from '../state/open-state.ts'
import { AwsError } from './aws-error.ts'
import { credentialScope } from './credential-scope.ts'

/**
 * Finds out who sends a request and makes the context of its operation.
 *
 * @throws AwsError when the plane has keys and the request is not signed by one of them, or for
 * another service than it is sent to
 */
export type Caller = (
  request: IncomingMessage,
  url: string,
  body: Buffer,
  service?: keyof typeof SIGNING_NAMES,
) => OperationContext

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
  return (request, url, body, service) => {
    const { headers } = request
    const scope = credentialScope(headers.authorization, url)
    if (accessKeys.length > 0) {
      if (service && scope) checkService(scope.service, SIGNING_NAMES[service])
      verify(request, url, body, accessKeys)
    }
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

function checkService(signed: string, service: string): void {
  if (signed === service) return
  throw new AwsError(
    'InvalidSignatureException',
    `Credential should be scoped to correct service: '${service}', and is scoped to '${signed}'.`,
    { status: 403 },
  )
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
    throw new AwsError(cause.jsonCode, words(cause), { status: 403, cause })
  }
}

/** What services other than S3 say of a signature; of a wrong clock, with both times. */
function words({ code, message, details }: SigV4Error): string {
  const { RequestTime, ServerTime } = details
  if (code !== 'RequestTimeTooSkewed' || !RequestTime || !ServerTime) return message
  const now = ServerTime.replace(/\.\d+|[-:]/g, '')
  const skewed = RequestTime < now ? 'Signature expired' : 'Signature not yet current'
  return (
    `${skewed}: it is of ${RequestTime}, here it is ${now}, and they may be 5 min. apart. ` +
    'Set the clock of the machine that signs.'
  )
}
