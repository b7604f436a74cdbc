import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { ensurePythonEnvironment, pythonOf } from '../tools/setup/python-environments.ts'
import { echo, type Peer } from './peers.ts'
import { newFolder, removeFolder, startServer } from './server-process.ts'

/** Seconds that a stock Python client needs for the parts of one run. */
export interface ClientSample {
  peer: string
  round: number
  seconds: Record<string, number>
}

const CLIENT = 'mlflow-3.17.2'
const LIMIT_MS = 300_000

/** Runs client_run.py against every server, in turn, `rounds` times. */
export async function measureClient(peers: Peer[], rounds: number): Promise<ClientSample[]> {
  await ensurePythonEnvironment(CLIENT)
  const samples: ClientSample[] = []
  for (const peer of peers) {
    if (peer.name === echo.name) continue
    const folder = newFolder()
    try {
      const server = await startServer(peer, folder)
      for (let round = 1; round <= rounds; round++) {
        const seconds = runClient(server.port)
        samples.push({ peer: peer.name, round, seconds })
      }
      await server.stop()
    } finally {
      removeFolder(folder)
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
