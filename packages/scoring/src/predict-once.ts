import { ApiError, ERROR_STATUS, type ErrorCode, invalid } from '@millrace/api/errors'
import { fetchModel, readFetchOptions } from '@millrace/models/fetch-model'
import type { TrackingServer } from '@millrace/models/tracking-server'
import { FRAME_BODY_BYTES_MAX } from './frames.ts'
import type { RuntimeOptions } from './model-runtime.ts'
import { startModel } from './start-model.ts'
import { type Answer, startWorker } from './worker-process.ts'

export interface PredictOptions extends RuntimeOptions {
  modelUri: string
  tracking: TrackingServer | undefined
  contentType: 'application/json' | 'text/csv'
  input: Buffer
  /** What the model prints. */
  onOutput: (chunk: Buffer) => void
}

/**
 * Has a model answer one request, which may be as large as memory allows and take as long as it
 * takes, and gives the answer's bytes: what `/invocations` would give.
 *
 * @throws ApiError with the model's refusal
 */
export async function predictOnce(options: PredictOptions): Promise<Buffer> {
  const { onOutput, signal, input } = options
  if (input.length > FRAME_BODY_BYTES_MAX) {
    throw invalid(`The input has ${input.length} bytes, and ${FRAME_BODY_BYTES_MAX} are possible.`)
  }
  await using model = await fetchModel(options.modelUri, options.tracking, {
    ...readFetchOptions(options.environment),
    signal,
  })
  const answered = Promise.withResolvers<Answer>()
  const events = {
    onAnswer: (_id: number, answer: Answer) => answered.resolve(answer),
    onExit: (reason: string) => answered.reject(new Error(`The process of the model ${reason}.`)),
  }
  const { directory } = model
  const worker = await startModel(directory, options, ({ program, environment }) => {
    const settings = { program, environment, modelDirectory: directory, threads: 1, onOutput }
    return startWorker(settings, events, signal)
  })
  const kill = () => worker.kill()
  signal.addEventListener('abort', kill)
  try {
    worker.send(1, options.contentType, input)
    const { status, body } = await answered.promise
    if (status !== 200) throw refusal(status, body.toString())
    return body
  } finally {
    signal.removeEventListener('abort', kill)
    await worker.close()
  }
}

function refusal(status: number, text: string): Error {
  try {
    const { error_code, message } = JSON.parse(text) as { error_code: string; message: string }
    if (error_code in ERROR_STATUS) return new ApiError(error_code as ErrorCode, message)
  } catch {
    // Some refusals are plain text.
  }
  return new Error(`The model answered ${status}: ${text}`)
}
