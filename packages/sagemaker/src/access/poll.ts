import { setTimeout as wait } from 'node:timers/promises'

const FIRST_MS = 250
const LONGEST_MS = 5_000
const GROWTH = 1.5

/**
 * Asks again and again, ever more rarely, until there is an answer; undefined when the time is over
 * first. AWS has no way to wait for a state but to ask.
 */
export async function poll<Answer>(
  ask: () => Promise<Answer | undefined>,
  timeoutSeconds: number,
): Promise<Answer | undefined> {
  const untilMs = performance.now() + timeoutSeconds * 1_000
  for (let pauseMs = FIRST_MS; ; pauseMs = Math.min(LONGEST_MS, pauseMs * GROWTH)) {
    const answer = await ask()
    if (answer !== undefined) return answer
    const leftMs = untilMs - performance.now()
    if (leftMs <= 0) return undefined
    await wait(Math.min(pauseMs, leftMs))
  }
}
