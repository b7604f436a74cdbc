import { randomUUID } from 'node:crypto'
import { answerHeaders, askEndpoint, BODY_BYTES_MAX, headerOf } from '../endpoints/ask-endpoint.ts'
import { captureCall, isSampled } from '../endpoints/data-capture.ts'
import type { RestAnswer, RestOperation } from './operation.ts'

/** More than this is refused before it has been read. */
export const RECEIVED_BYTES_MAX = 64 * 2 ** 20
const TIMEOUT_MS = 60_000

/** `InvokeEndpoint`: a body goes to a server of the endpoint, and its answer comes back as it is. */
export const invokeEndpoint: RestOperation = {
  name: 'InvokeEndpoint',
  method: 'POST',
  path: '/endpoints/:EndpointName/invocations',
  bodyBytesMax: RECEIVED_BYTES_MAX,
  async run(context, request) {
    const timeMs = Date.now()
    const { answer, server, fleet, failure } = await askEndpoint(context, request, TIMEOUT_MS)
    const body = await answer.read(BODY_BYTES_MAX).catch((error: unknown) => {
      throw failure(error)
    })
    const contentType = answer.headers['content-type'] ?? 'application/octet-stream'
    const { DataCaptureConfig } = fleet.config
    if (isSampled(DataCaptureConfig)) {
      const call = {
        endpoint: request.params['EndpointName'] ?? '',
        variant: server.variant,
        eventId: randomUUID(),
        timeMs,
        input: { contentType: headerOf(request, 'content-type'), body: request.body },
        output: { contentType, body },
        customAttributes: headerOf(request, 'x-amzn-sagemaker-custom-attributes') || undefined,
        inferenceId: headerOf(request, 'x-amzn-sagemaker-inference-id') || undefined,
      }
      await captureCall(context.objects, DataCaptureConfig, call)
    }
    const headers = {
      'content-type': contentType,
      ...answerHeaders(answer.headers, server.variant),
    }
    return { status: 200, headers, body } satisfies RestAnswer
  },
}
