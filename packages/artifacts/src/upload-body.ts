import { addAbortSignal, Readable } from 'node:stream'
import { invalid } from '@millrace/api/errors'
import type { WriteOptions } from './artifact-store.ts'

/**
 * The chunks of a body on its way into a store, until it is aborted or longer than allowed. A
 * `Readable` that is not read to its end is left open.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for a body beyond `sizeMaxBytes`
 */
export async function* uploadChunks(
  body: Readable | AsyncIterable<Uint8Array>,
  { signal, sizeMaxBytes = Infinity }: WriteOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let sizeBytes = 0
  for await (const chunk of chunksOf(body, signal)) {
    signal?.throwIfAborted()
    sizeBytes += chunk.length
    if (sizeBytes > sizeMaxBytes) {
      throw invalid(`Artifact size is too large. Max size is ${sizeMaxBytes} bytes.`)
    }
    yield chunk
  }
  signal?.throwIfAborted()
}

function chunksOf(body: Readable | AsyncIterable<Uint8Array>, signal: AbortSignal | undefined) {
  if (!(body instanceof Readable)) return body
  if (signal) addAbortSignal(signal, body)
  const chunks: AsyncIterable<Uint8Array> = body.iterator({ destroyOnReturn: false })
  return chunks
}
