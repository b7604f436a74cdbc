import { spawn } from 'node:child_process'
import type { TrackingServer } from '@millrace/models/tracking-server'
import { FAILURE_TAG } from './tracked-run.ts'

export interface Watched {
  groupId: number
  runId: string
  tracking: TrackingServer
  environment: NodeJS.ProcessEnv
}

// Its input ends without a line only when whoever watches is gone, however that came about.
const WATCH = `
  read -r _ && exit
  kill -TERM -- "-$1"
  for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 -- "-$1" || break; sleep 0.5; done
  kill -KILL -- "-$1"
  exec "$2" --input-type=module -e "$3"
`
const REPORT = `
  import { env } from 'node:process'
  const { url, headers, run_id, key, value } = JSON.parse(env.MILLRACE_LOST_RUN)
  const post = (path, body) => fetch(url + '/api/2.0/mlflow/runs/' + path, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ run_id, ...body }),
  })
  const answer = await fetch(url + '/api/2.0/mlflow/runs/get?run_id=' + run_id, { headers })
  const { run } = await answer.json()
  if (run.info.status === 'RUNNING' || run.info.status === 'SCHEDULED') {
    await post('set-tag', { key, value })
    await post('update', { status: 'KILLED', end_time: Date.now() })
  }
`

/**
 * Watches this process from outside until disposed: should it be killed, the process group of the
 * run's command is ended and the run is KILLED, so that neither is left behind.
 */
export function startWatchdog({ groupId, runId, tracking, environment }: Watched): Disposable {
  const lost = {
    ...tracking,
    run_id: runId,
    key: FAILURE_TAG,
    value: 'The program that ran the project was killed.',
  }
  const args = ['-c', WATCH, 'millrace-watchdog', String(groupId), process.execPath, REPORT]
  const child = spawn('bash', args, {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    env: { ...environment, MILLRACE_LOST_RUN: JSON.stringify(lost) },
  })
  // Without bash there is no watchdog; the run itself does not depend on it.
  child.once('error', () => {})
  child.stdin.once('error', () => {})
  child.unref()
  return { [Symbol.dispose]: () => void child.stdin.end('done\n') }
}
