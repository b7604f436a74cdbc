import { useState } from 'react'

/** State of this browser: remembered between visits, not part of a link. */
export function useStoredState(name: string, initial: string) {
  const key = `millrace.${name}`
  const [value, setValue] = useState(() => localStorage.getItem(key) ?? initial)
  const store = (next: string) => {
    localStorage.setItem(key, next)
    setValue(next)
  }
  return [value, store] as const
}
