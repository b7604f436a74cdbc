/** What a timer can count; one of more is over at once. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** Calls at a time, in ms since 1970, however far it is away; at once when it is over. */
export function callAt(timeMs: number, call: () => void): void {
  const leftMs = timeMs - Date.now()
  if (leftMs > TIMER_MS_MAX) setTimeout(() => callAt(timeMs, call), TIMER_MS_MAX).unref()
  else setTimeout(call, Math.max(0, leftMs)).unref()
}
