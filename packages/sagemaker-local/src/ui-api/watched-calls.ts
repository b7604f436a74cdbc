import type { CallSummary, EndpointCall } from '@millrace/api/sagemaker-pages'
import { AwsError } from '../http/aws-error.ts'
import type { RestOperation } from '../operations/operation.ts'

const KEPT = 1000
const SHOWN = 200
const OK = 200
const UNFORESEEN = 500

/** How long calls of endpoints took and how they ended, since this process was started. */
export class WatchedCalls {
  readonly #sinceMs = Date.now()
  readonly #calls = new Map<string, EndpointCall[]>()

  /** The operation, of whose calls is kept how they went. */
  watch(operation: RestOperation): RestOperation {
    return {
      ...operation,
      run: async (context, request) => {
        const timeMs = Date.now()
        const beganMs = performance.now()
        let status = UNFORESEEN
        try {
          const answer = await operation.run(context, request)
          status = answer.status
          return answer
        } catch (error) {
          if (error instanceof AwsError) status = error.status
          throw error
        } finally {
          const tookMs = performance.now() - beganMs
          this.#keep(request.params['EndpointName'] ?? '', { timeMs, tookMs, status })
        }
      },
    }
  }

  summaryOf(endpoint: string, createdMs: number): CallSummary {
    // An endpoint that was deleted and made again has nothing of the one before.
    const calls = (this.#calls.get(endpoint) ?? []).filter(({ timeMs }) => timeMs >= createdMs)
    const tookMs = calls
      .filter(({ status }) => status === OK)
      .map((call) => call.tookMs)
      .sort((a, b) => a - b)
    const p50Ms = tookMs[Math.floor(tookMs.length * 0.5)]
    const p99Ms = tookMs[Math.floor(tookMs.length * 0.99)]
    return {
      sinceMs: Math.max(this.#sinceMs, createdMs),
      count: calls.length,
      errors: calls.length - tookMs.length,
      ...(p50Ms === undefined || p99Ms === undefined ? {} : { p50Ms, p99Ms }),
      recent: calls.slice(-SHOWN),
    }
  }

  #keep(endpoint: string, call: EndpointCall): void {
    const calls = this.#calls.get(endpoint) ?? []
    calls.push(call)
    if (calls.length > KEPT) calls.shift()
    this.#calls.set(endpoint, calls)
  }
}
