export interface RetryOptions {
  /** How often a request is sent again; MLflow's clients do so 7 times. */
  retriesMax?: number
  /** Before the second repetition, doubled with each one after it; the first comes at once. */
  pauseMs?: number
  /** Longest pause of our own; a server's `Retry-After` may be longer. */
  pauseMaxMs?: number
  /** A request that takes longer is broken off and sent again. */
  timeoutMs?: number
}

/** What may be different the next time, as MLflow 3.17's `_TRANSIENT_FAILURE_RESPONSE_CODES`. */
const TRANSIENT = new Set([408, 429, 500, 502, 503, 504])

/**
 * `fetch` for `createClient` that sends a request again, whatever its method, when its connection
 * breaks, before or within the answer, or when the answer may be another one later. It waits as
 * long as `Retry-After` says. The servers of this API take what is sent twice for one request.
 */
export function retryingFetch({
  retriesMax = 7,
  pauseMs = 500,
  pauseMaxMs = 30_000,
  timeoutMs = 120_000,
}: RetryOptions = {}) {
  return async (url: string, init: RequestInit): Promise<Response> => {
    const headers = new Headers(init.headers)
    // Tells a server that a create is the same one again, not another one that looks like it.
    if (!headers.has('idempotency-key')) headers.set('idempotency-key', crypto.randomUUID())
    const request = { ...init, headers }
    for (let tries = 0; ; tries++) {
      const answer = await attempt(url, request, timeoutMs)
      if (tries >= retriesMax || init.signal?.aborted) return settle(answer)
      if (answer instanceof Response && !TRANSIENT.has(answer.status)) return answer
      const own = tries === 0 ? 0 : Math.min(pauseMaxMs, pauseMs * 2 ** (tries - 1))
      const pause = askedPauseMs(answer) ?? own * (0.75 + Math.random() / 2)
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }
}

/** The answer with its whole body, or the error with which there is none. */
async function attempt(
  url: string,
  init: RequestInit,
  timeoutMs: number,
): Promise<Response | { error: unknown }> {
  const limit = AbortSignal.timeout(timeoutMs)
  const signal = init.signal ? AbortSignal.any([init.signal, limit]) : limit
  try {
    const { status, statusText, headers, body } = await fetch(url, { ...init, signal })
    const whole = body === null ? null : await new Response(body).arrayBuffer()
    return new Response(whole, { status, statusText, headers })
  } catch (error) {
    return { error }
  }
}

function settle(answer: Response | { error: unknown }): Response {
  if (answer instanceof Response) return answer
  throw answer.error
}

function askedPauseMs(answer: Response | { error: unknown }): number | undefined {
  const asked = answer instanceof Response ? answer.headers.get('retry-after') : null
  return asked !== null && /^\d+$/.test(asked) ? Number(asked) * 1000 : undefined
}
