import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { ensurePythonEnvironment, pythonOf } from '../tools/setup/python-environments.ts'
import { echo, type Peer } from './peers.ts'
import { withServer } from './server-process.ts'

/** Seconds that a stock Python client needs for the parts of one run. */
export interface ClientSample {
  peer: string
  round: number
  seconds: Record<string, number>
}

const CLIENT = 'mlflow-3.17.2'
const LIMIT_MS = 300_000

/** Runs client_run.py against every server, in turn, `rounds` times; tells of those that fail. */
export async function measureClient(
  peers: Peer[],
  rounds: number,
  say: (text: string) => void,
): Promise<ClientSample[]> {
  await ensurePythonEnvironment(CLIENT)
  const samples: ClientSample[] = []
  for (const peer of peers) {
    if (peer.name === echo.name) continue
    try {
      await withServer(peer, async ({ port }) => {
        for (let round = 1; round <= rounds; round++) {
          samples.push({ peer: peer.name, round, seconds: runClient(port) })
        }
      })
    } catch (error) {
      say(inspect(error))
    }
  }
  return samples
}

function runClient(port: number): Record<string, number> {
  const script = join(import.meta.dirname, 'client_run.py')
  const { stdout, stderr, status } = spawnSync(
    pythonOf(CLIENT),
    [script, `http://127.0.0.1:${port}`],
    { encoding: 'utf8', timeout: LIMIT_MS, env: { ...process.env, GIT_PYTHON_REFRESH: 'quiet' } },
  )
  if (status !== 0) throw new Error(`The stock client ended with ${status}: ${stderr}`)
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}
