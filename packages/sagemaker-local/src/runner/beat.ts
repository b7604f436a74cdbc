/** How often the runner tells who has started it that it lives. */
export const BEAT_MS = 1_000

/** Tells it for as long as anybody listens; a process that hangs or is stopped does not. */
export function startBeating(): void {
  const beat = setInterval(() => process.send?.('alive'), BEAT_MS).unref()
  process.once('disconnect', () => clearInterval(beat))
}
