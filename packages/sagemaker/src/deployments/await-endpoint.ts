import type { DescribeEndpointOutput } from '@aws-sdk/client-sagemaker'
import { ApiError } from '@millrace/api/errors'
import { poll } from '../access/poll.ts'
import type { DeploymentContext } from './deployment-context.ts'
import { lastLogLines } from './failure-log.ts'
import { findEndpoint } from './find-deployment.ts'

/** How an endpoint's change ended. */
export type EndpointEnd =
  | { kind: 'in service' }
  /** SageMaker serves as before the change. */
  | { kind: 'rolled back'; why: string }
  | { kind: 'failed'; why: string }
  | { kind: 'timed out'; status: string }

const SETTLED = ['InService', 'Failed', 'OutOfService', 'UpdateRollbackFailed']
/** A minute of silence looks like a fault: an instance, its image and its packages take several. */
const WORD_MS = 30_000
/** SageMaker may go on showing the old state for a moment after an update was asked for. */
const STALE_MS = 20_000

/** Waits until an endpoint serves a configuration, or will not. */
export async function awaitEndpoint(
  context: DeploymentContext,
  name: string,
  configName: string,
  timeoutSeconds: number,
): Promise<EndpointEnd> {
  const startMs = performance.now()
  let status = ''
  let hasMoved = false
  let saidMs = startMs
  const end = await poll(async () => {
    const found = await findEndpoint(context.aws, name)
    const isNews = found?.EndpointStatus !== status
    status = found?.EndpointStatus ?? 'gone'
    if (found && !SETTLED.includes(status)) {
      const nowMs = performance.now()
      if (isNews || nowMs - saidMs > WORD_MS) {
        const seconds = Math.round((nowMs - startMs) / 1_000)
        context.report(
          `The endpoint ${name} is ${isNews ? status : `still ${status} after ${seconds} seconds`}.`,
        )
        saidMs = nowMs
      }
      hasMoved = true
      return undefined
    }
    if (status === 'InService' && found?.EndpointConfigName === configName) return found
    const maybeStale = found && !hasMoved && performance.now() - startMs < STALE_MS
    return maybeStale ? undefined : (found ?? { EndpointStatus: undefined })
  }, timeoutSeconds)
  if (!end) return { kind: 'timed out', status }
  if (end.EndpointStatus === 'InService' && end.EndpointConfigName === configName) {
    return { kind: 'in service' }
  }
  const why = await failureOf(context, name, end)
  return { kind: end.EndpointStatus === 'InService' ? 'rolled back' : 'failed', why }
}

async function failureOf(
  { aws }: DeploymentContext,
  name: string,
  { FailureReason, EndpointStatus }: Partial<DescribeEndpointOutput>,
): Promise<string> {
  if (EndpointStatus === undefined) return 'Somebody deleted the endpoint meanwhile.'
  const reason = FailureReason ?? `SageMaker gives no reason; the endpoint is ${EndpointStatus}.`
  // The local plane's reason ends with the log, which is long enough once.
  if (reason.includes('\n')) return reason
  return reason + (await lastLogLines(aws.logs, `/aws/sagemaker/Endpoints/${name}`))
}

/** For a wait that ended before what it waited for. */
export function timedOut(name: string, status: string, seconds: number): ApiError {
  return new ApiError(
    'TEMPORARILY_UNAVAILABLE',
    `The endpoint ${name} is still ${status || 'as it was'} after ${seconds} seconds. SageMaker goes ` +
      'on with it and nothing was removed: `millrace deployments get` shows how it ends, ' +
      '`millrace deployments delete` removes it.',
  )
}

/** Waits until an endpoint is gone. */
export async function awaitEndpointGone(
  context: DeploymentContext,
  name: string,
  timeoutSeconds: number,
): Promise<void> {
  let status = ''
  const isGone = await poll(async () => {
    const found = await findEndpoint(context.aws, name)
    status = found?.EndpointStatus ?? ''
    return found ? undefined : true
  }, timeoutSeconds)
  if (!isGone) throw timedOut(name, status, timeoutSeconds)
}
