import type { IncomingHttpHeaders } from 'node:http'
import { AwsError } from '../http/aws-error.ts'
import type { OperationContext, RestRequest } from '../operations/operation.ts'
import { NoServerAnswer, type OpenAnswer, openAnswer } from './call-server.ts'
import { chooseServer, chooseVariant } from './choose-server.ts'
import { type Endpoint, type Fleet, type FleetServer, findEndpoint } from './endpoint.ts'
import { endpointLogGroup, serverLog } from './fleet-servers.ts'

/** Of a request, and of an answer that is not a stream. */
export const BODY_BYTES_MAX = 6_291_456
const SERVERLESS_BODY_BYTES_MAX = 4_194_304
const TRIES = 3
const ERROR_CHARACTERS = 4_096
const PASSED_ON = [
  'content-type',
  'accept',
  'x-amzn-sagemaker-custom-attributes',
  'x-amzn-sagemaker-inference-id',
  'x-amzn-sagemaker-session-id',
  'x-amzn-sagemaker-target-model',
  'x-amzn-sagemaker-target-variant',
  'x-amzn-sagemaker-target-container-hostname',
  'x-amzn-sagemaker-enable-explanations',
]

/** A server that has begun to answer with a status of success. */
export interface Asked {
  answer: OpenAnswer
  server: FleetServer
  fleet: Fleet
  /** What AWS says when the rest of the answer does not come. */
  failure(error: unknown): unknown
}

/**
 * Sends a request to a server of an endpoint, and to another one when the first has just gone.
 *
 * @throws AwsError
 */
export async function askEndpoint(
  context: OperationContext,
  request: RestRequest,
  timeoutMs: number,
): Promise<Asked> {
  const name = request.params['EndpointName'] ?? ''
  checkSize(request.body.length, BODY_BYTES_MAX)
  const tried: number[] = []
  for (;;) {
    const { fleet, faults } = inService(context, name)
    const variant = variantOf(fleet, headerOf(request, 'x-amzn-sagemaker-target-variant'))
    const isServerless = checkServerless(fleet, variant, request.body.length)
    const server = chooseServer(fleet, variant, tried)
    if (!server) throw notReady(name, variant, isServerless)
    tried.push(server.port)
    const seconds = Number(faults['invocation-seconds'] ?? timeoutMs / 1000)
    const failure = (error: unknown) =>
      error instanceof NoServerAnswer
        ? modelError(context, name, { fleet, server }, silence(error, seconds), 0)
        : error
    try {
      const answer = await openAnswer({
        port: server.port,
        headers: passedHeaders(request),
        body: request.body,
        timeoutMs: seconds * 1000,
        signal: request.signal,
      })
      if (answer.status >= 200 && answer.status < 300) return { answer, server, fleet, failure }
      const text = (await answer.read(BODY_BYTES_MAX)).toString('utf8').slice(0, ERROR_CHARACTERS)
      throw modelError(context, name, { fleet, server }, text, answer.status)
    } catch (error) {
      const isGone = error instanceof NoServerAnswer && error.kind === 'refused'
      if (!isGone || tried.length >= TRIES) throw failure(error)
    }
  }
}

function inService(
  { state, settings }: OperationContext,
  name: string,
): { fleet: Fleet; faults: Endpoint['progress']['faults'] } {
  const endpoint = findEndpoint(state, name)
  if (!endpoint) {
    throw invalidCall(`Endpoint ${name} of account ${settings.accountId} not found.`)
  }
  const { document, progress } = endpoint
  if (!progress.current || document.EndpointStatus === 'Deleting') {
    const advice =
      document.EndpointStatus === 'Failed'
        ? 'DescribeEndpoint says why; delete it and create it again.'
        : document.EndpointStatus === 'Deleting'
          ? 'It cannot be invoked any more.'
          : 'It can be invoked when it is InService: wait with the waiter endpoint_in_service.'
    throw invalidCall(
      `Endpoint ${name} of account ${settings.accountId} not found in service: it is ${document.EndpointStatus}. ${advice}`,
    )
  }
  return { fleet: progress.current, faults: progress.faults }
}

function variantOf(fleet: Fleet, target: string): string {
  const names = fleet.variants.map(({ variant }) => variant.VariantName)
  if (target !== '') {
    if (names.includes(target)) return target
    throw invalidCall(
      `Variant '${target}' not found for Request: the endpoint has ${names.join(', ')}.`,
    )
  }
  const chosen = chooseVariant(fleet)
  if (chosen !== undefined) return chosen
  throw invalidCall(
    'All variants of the endpoint have the weight 0: name one with TargetVariant, or change the weights ' +
      'with UpdateEndpointWeightsAndCapacities.',
  )
}

function passedHeaders(request: RestRequest): Record<string, string> {
  // A streaming call says in a header of its own what it accepts.
  const accept = headerOf(request, 'x-amzn-sagemaker-accept')
  const passed = PASSED_ON.flatMap((name) => {
    const value = headerOf(request, name)
    return value === '' ? [] : [[name, value] as const]
  })
  return { ...Object.fromEntries(passed), ...(accept === '' ? {} : { accept }) }
}

/** The headers by which AWS tells what a container said about its answer. */
export function answerHeaders(
  headers: IncomingHttpHeaders,
  variant: string,
): Record<string, string> {
  const attributes = headers['x-amzn-sagemaker-custom-attributes']
  return {
    'x-amzn-invoked-production-variant': variant,
    ...(typeof attributes === 'string' ? { 'x-amzn-sagemaker-custom-attributes': attributes } : {}),
  }
}

/** One header of a request; empty when it has none. */
export function headerOf({ headers }: RestRequest, name: string): string {
  const value = headers[name]
  return (Array.isArray(value) ? value[0] : value) ?? ''
}

function silence({ kind, message }: NoServerAnswer, seconds: number): string {
  switch (kind) {
    case 'timeout':
      return (
        'Your invocation timed out while waiting for a response from container primary. It has ' +
        `${seconds} s to answer.`
      )
    case 'too-large':
      return message
    default:
      return `The container closed the connection before it had answered (${message}).`
  }
}

/** What AWS says of a model that answers with an error, or not at all (status 0). */
function modelError(
  { settings, region }: OperationContext,
  name: string,
  { fleet, server }: { fleet: Fleet; server: FleetServer },
  text: string,
  status: number,
): AwsError {
  const group = endpointLogGroup(name)
  const side = status >= 400 && status < 500 ? 'client' : 'server'
  const { stream } = serverLog({ directory: '' }, fleet.number, server)
  return new AwsError(
    'ModelError',
    `Received ${side} error (${status}) from primary with message "${text}". See the log group ${group} ` +
      `in account ${settings.accountId} for more information.`,
    {
      status: 424,
      members: {
        OriginalStatusCode: status,
        OriginalMessage: text,
        LogStreamArn: `arn:aws:logs:${region}:${settings.accountId}:log-group:${group}:log-stream:${stream}`,
      },
    },
  )
}

function invalidCall(message: string): AwsError {
  return new AwsError('ValidationError', message)
}

function checkSize(bytes: number, most: number): void {
  if (bytes <= most) return
  throw invalidCall(
    `1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less ` +
      `than or equal to ${most}. The body has ${bytes} bytes; larger ones are for batch transform.`,
  )
}

/** A serverless variant takes smaller bodies. Whether it is one. */
function checkServerless({ variants }: Fleet, name: string, bytes: number): boolean {
  const found = variants.find(({ variant }) => variant.VariantName === name)
  if (!found?.variant.ServerlessConfig) return false
  checkSize(bytes, SERVERLESS_BODY_BYTES_MAX)
  return true
}

function notReady(name: string, variant: string, isServerless: boolean): AwsError {
  const message =
    `No server of the variant ${variant} of the endpoint ${name} answers at the moment; it is being ` +
    `started again. Its log is in ${endpointLogGroup(name)}.`
  return isServerless
    ? new AwsError('ModelNotReadyException', message, { status: 429 })
    : new AwsError('ServiceUnavailable', message, { status: 503 })
}
