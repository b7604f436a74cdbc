import { readFileSync } from 'node:fs'

/**
 * When a process was born, in the machine's own ticks, which with its number makes it unmistakable.
 * Undefined when it is gone; an empty text where the system does not say, and the number has to do.
 */
export function birthOf(pid: number | 'self'): string | undefined {
  if (process.platform !== 'linux') return typeof pid === 'string' || isThere(pid) ? '' : undefined
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  // The name of the program may hold spaces and brackets; what follows the last one does not.
  const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return state === 'Z' || state === 'X' ? undefined : rest[18]
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
