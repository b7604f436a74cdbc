import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { cacheDirectory } from '@millrace/scoring/python-environment'
import type { PlaneSettings } from '../plane-settings.ts'
import { BEAT_MS } from './beat.ts'

// Beside this file, in the sources as in the bundle, where this may be a part of another file.
const MAIN = join(import.meta.dirname, `runner-main${extname(import.meta.filename)}`)
const RESTART_MS = 200
const RESTART_MS_MAX = 10_000
/** How long a runner may say nothing; it waits up to ten seconds for the state, and disks are slow. */
const HUNG_AFTER_MS = 60_000
// A runner that lived this long did not die of its start.
const SETTLED_MS = 30_000

/** The runner as this process keeps it alive. */
export interface RunnerProcess extends AsyncDisposable {
  /** Of the runner that lives now. */
  pid(): number | undefined
}

/**
 * Starts the runner in a process group of its own and starts it again whenever it dies, or lives and
 * says nothing: then it is killed first, so that there are never two. It outlives this process if
 * that dies; disposing ends it, and leaves the processes of jobs to the next runner.
 */
export function startRunner(
  settings: PlaneSettings,
  { hungAfterMs = HUNG_AFTER_MS } = {},
): RunnerProcess {
  const settingsFile = join(settings.directory, 'runner.json')
  writeFileSync(settingsFile, JSON.stringify(settings), { mode: 0o600 })
  let child: ChildProcess | undefined
  let isEnding = false
  const ended = (async () => {
    for (let pauseMs = RESTART_MS; !isEnding; ) {
      const startedMs = performance.now()
      child = spawnRunner(settings, settingsFile)
      killWhenHung(child, hungAfterMs)
      await new Promise<void>((resolve) => {
        child?.once('exit', () => resolve())
        child?.once('error', () => resolve())
      })
      if (isEnding) return
      if (performance.now() - startedMs > SETTLED_MS) pauseMs = RESTART_MS
      await wait(pauseMs)
      pauseMs = Math.min(pauseMs * 2, RESTART_MS_MAX)
    }
  })()
  return {
    pid: () => child?.pid,
    async [Symbol.asyncDispose]() {
      isEnding = true
      child?.kill('SIGTERM')
      await ended
    },
  }
}

/**
 * Beats are counted against ticks of this process and not against the clock: a machine that has
 * slept, or had no time for either of them, has no hung runner.
 */
function killWhenHung(child: ChildProcess, hungAfterMs: number): void {
  let silentTicks = 0
  child.on('message', () => {
    silentTicks = 0
  })
  const tick = setInterval(() => {
    silentTicks++
    if (silentTicks * BEAT_MS > hungAfterMs) child.kill('SIGKILL')
  }, BEAT_MS)
  child.once('exit', () => clearInterval(tick))
  child.once('error', () => clearInterval(tick))
}

function spawnRunner(settings: PlaneSettings, settingsFile: string): ChildProcess {
  const log = openSync(join(settings.directory, 'runner.log'), 'a', 0o600)
  try {
    return spawn(process.execPath, [MAIN, settingsFile], {
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
      env: {
        ...settings.environment,
        NODE_NO_WARNINGS: '1',
        NODE_COMPILE_CACHE: join(cacheDirectory(settings.environment), 'node'),
      },
    })
  } finally {
    closeSync(log)
  }
}
