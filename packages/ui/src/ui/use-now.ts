import { useSyncExternalStore } from 'react'

const TICK_MS = 10_000
const listeners = new Set<() => void>()
let now = Date.now()

setInterval(() => {
  now = Date.now()
  for (const listener of listeners) listener()
}, TICK_MS)

/** The present, renewed every ten seconds for everything on the page at once. */
export function useNow(): number {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => now,
  )
}
