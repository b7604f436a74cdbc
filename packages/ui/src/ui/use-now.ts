import { useSyncExternalStore } from 'react'

interface Clock {
  subscribe: (listener: () => void) => () => void
  now: () => number
}

const everyTenSeconds = startClock(10_000)
const everySecond = startClock(1000)

/** A present that is renewed for everything on the page at once. */
function startClock(tickMs: number): Clock {
  const listeners = new Set<() => void>()
  let now = Date.now()
  setInterval(() => {
    now = Date.now()
    for (const listener of listeners) listener()
  }, tickMs)
  return {
    now: () => now,
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** The present, renewed every ten seconds; every second for what is watched as it goes on. */
export function useNow({ isWatched = false }: { isWatched?: boolean } = {}): number {
  const { subscribe, now } = isWatched ? everySecond : everyTenSeconds
  return useSyncExternalStore(subscribe, now)
}
