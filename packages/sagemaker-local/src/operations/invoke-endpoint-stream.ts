import { Readable } from 'node:stream'
import { type Asked, answerHeaders, askEndpoint } from '../endpoints/ask-endpoint.ts'
import { NoServerAnswer } from '../endpoints/call-server.ts'
import { eventFrame } from '../http/event-stream.ts'
import { RECEIVED_BYTES_MAX } from './invoke-endpoint.ts'
import type { RestAnswer, RestOperation } from './operation.ts'

/** From the request to the last part of the answer. */
const TIMEOUT_MS = 8 * 60_000

/**
 * `InvokeEndpointWithResponseStream`: what a server answers comes back in parts, each as soon as it is
 * there.
 */
export const invokeEndpointWithResponseStream: RestOperation = {
  name: 'InvokeEndpointWithResponseStream',
  method: 'POST',
  path: '/endpoints/:EndpointName/invocations-response-stream',
  bodyBytesMax: RECEIVED_BYTES_MAX,
  async run(context, request) {
    const asked = await askEndpoint(context, request, TIMEOUT_MS)
    const { answer, server } = asked
    return {
      status: 200,
      headers: {
        'content-type': 'application/vnd.amazon.eventstream',
        'x-amzn-sagemaker-content-type':
          answer.headers['content-type'] ?? 'application/octet-stream',
        ...answerHeaders(answer.headers, server.variant),
      },
      body: Readable.from(frames(asked)),
    } satisfies RestAnswer
  },
}

async function* frames({ answer, failure }: Asked): AsyncGenerator<Buffer, void> {
  try {
    for await (const chunk of answer.chunks()) {
      const part = { ':event-type': 'PayloadPart', ':content-type': 'application/octet-stream' }
      yield eventFrame({ ':message-type': 'event', ...part }, chunk)
    }
  } catch (error) {
    // The head has been sent: from here on an error is a part of the stream.
    if (!(error instanceof NoServerAnswer)) throw error
    const told = failure(error)
    const Message = told instanceof Error ? told.message : String(told)
    const isLate = error.kind === 'timeout'
    const ErrorCode = isLate ? 'ModelInvocationTimeExceeded' : 'StreamBroken'
    yield eventFrame(
      {
        ':message-type': 'exception',
        ':exception-type': 'ModelStreamError',
        ':content-type': 'application/json',
      },
      Buffer.from(JSON.stringify({ Message, ErrorCode })),
    )
  }
}
