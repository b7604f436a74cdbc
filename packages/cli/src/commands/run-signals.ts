import { constants } from 'node:os'
import { Interruption } from '@millrace/projects/command-run'

/**
 * Aborts on the first SIGTERM, SIGINT or SIGHUP, which is passed on to what is running; the second
 * ends this process at once.
 */
export function interruptOnSignals(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(128 + constants.signals[name])
      controller.abort(new Interruption(name))
    })
  }
  return controller.signal
}
