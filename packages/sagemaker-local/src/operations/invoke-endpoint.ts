import { randomUUID } from 'node:crypto'
import { callServer, NoServerAnswer, type ServerAnswer } from '../endpoints/call-server.ts'
import { chooseServer, chooseVariant } from '../endpoints/choose-server.ts'
import { captureCall, isSampled } from '../endpoints/data-capture.ts'
import { type Fleet, type FleetServer, findEndpoint } from '../endpoints/endpoint.ts'
import { endpointLogGroup, serverLog } from '../endpoints/fleet-servers.ts'
import { AwsError } from '../http/aws-error.ts'
import type { OperationContext, RestAnswer, RestOperation, RestRequest } from './operation.ts'

/** Of a request and of its answer. */
const BODY_BYTES_MAX = 6_291_456
/** More than this is refused before it has been read. */
const RECEIVED_BYTES_MAX = 64 * 2 ** 20
const TIMEOUT_MS = 60_000
const TRIES = 3
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

/** `InvokeEndpoint`: a body goes to a server of the endpoint, and its answer comes back as it is. */
export const invokeEndpoint: RestOperation = {
  name: 'InvokeEndpoint',
  method: 'POST',
  path: '/endpoints/:EndpointName/invocations',
  bodyBytesMax: RECEIVED_BYTES_MAX,
  async run(context, request) {
    const name = request.params['EndpointName'] ?? ''
    if (request.body.length > BODY_BYTES_MAX) throw tooLarge(request.body.length)
    const timeMs = Date.now()
    const { answer, server, fleet } = await invoke(context, request, name)
    const headers = answerHeaders(answer, server.variant)
    const { DataCaptureConfig } = fleet.config
    if (isSampled(DataCaptureConfig)) {
      const call = {
        endpoint: name,
        variant: server.variant,
        eventId: randomUUID(),
        timeMs,
        input: { contentType: headerOf(request, 'content-type'), body: request.body },
        output: { contentType: headers['content-type'] ?? '', body: answer.body },
        customAttributes: headerOf(request, 'x-amzn-sagemaker-custom-attributes') || undefined,
        inferenceId: headerOf(request, 'x-amzn-sagemaker-inference-id') || undefined,
      }
      await captureCall(context.objects, DataCaptureConfig, call)
    }
    return { status: 200, headers, body: answer.body } satisfies RestAnswer
  },
}

interface Invoked {
  answer: ServerAnswer
  server: FleetServer
  fleet: Fleet
}

/** Asks one server, and another one when the first has just gone. */
async function invoke(
  context: OperationContext,
  request: RestRequest,
  name: string,
): Promise<Invoked> {
  const tried: number[] = []
  for (;;) {
    const fleet = fleetOf(context, name)
    const variant = variantOf(fleet, headerOf(request, 'x-amzn-sagemaker-target-variant'))
    const server = chooseServer(fleet, variant, tried)
    if (!server) {
      throw new AwsError(
        'ServiceUnavailable',
        `No server of the variant ${variant} of the endpoint ${name} answers at the moment; it is being ` +
          `started again. Its log is in ${endpointLogGroup(name)}.`,
        { status: 503 },
      )
    }
    tried.push(server.port)
    try {
      const answer = await callServer({
        port: server.port,
        headers: passedHeaders(request),
        body: request.body,
        timeoutMs: TIMEOUT_MS,
        answerBytesMax: BODY_BYTES_MAX,
        signal: request.signal,
      })
      if (answer.status >= 200 && answer.status < 300) return { answer, server, fleet }
      throw modelError(context, name, { fleet, server }, answerText(answer), answer.status)
    } catch (error) {
      if (!(error instanceof NoServerAnswer)) throw error
      if (error.kind === 'refused' && tried.length < TRIES) continue
      throw modelError(context, name, { fleet, server }, silence(error), 0)
    }
  }
}

function fleetOf({ state, settings }: OperationContext, name: string): Fleet {
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
  return progress.current
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
  return Object.fromEntries(
    PASSED_ON.flatMap((name) => {
      const value = headerOf(request, name)
      return value === '' ? [] : [[name, value]]
    }),
  )
}

function answerHeaders({ headers }: ServerAnswer, variant: string): Record<string, string> {
  const attributes = headers['x-amzn-sagemaker-custom-attributes']
  return {
    'content-type': headers['content-type'] ?? 'application/octet-stream',
    'x-amzn-invoked-production-variant': variant,
    ...(typeof attributes === 'string' ? { 'x-amzn-sagemaker-custom-attributes': attributes } : {}),
  }
}

function headerOf({ headers }: RestRequest, name: string): string {
  const value = headers[name]
  return (Array.isArray(value) ? value[0] : value) ?? ''
}

function answerText({ body }: ServerAnswer): string {
  return body.toString('utf8').slice(0, 4_096)
}

function silence({ kind, message }: NoServerAnswer): string {
  switch (kind) {
    case 'timeout':
      return (
        'Your invocation timed out while waiting for a response from container primary: it has ' +
        `${TIMEOUT_MS / 1000} s to answer.`
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

function tooLarge(bytes: number): AwsError {
  return invalidCall(
    `1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less ` +
      `than or equal to ${BODY_BYTES_MAX}. The body has ${bytes} bytes; larger ones are for batch transform.`,
  )
}
