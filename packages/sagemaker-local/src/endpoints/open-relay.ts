import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { extname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { findStart } from '../runner/instance/instance.ts'
import type { InstanceSpec } from '../runner/instance/instance-spec.ts'

// Beside this file, in the sources as in the bundle, where this may be a part of another file.
const PROGRAM = join(import.meta.dirname, `network-relay${extname(import.meta.filename)}`)
const LOOK_MS = 50
const RETRY_MS = 200

/** Whether the instance has a network of its own, which nothing reaches from outside. */
export function isCutOff({ hasNetwork, isolation }: InstanceSpec): boolean {
  return !hasNetwork && isolation.kind !== 'none'
}

/** Makes a port of an instance that is cut off reachable at the same port of loopback until aborted. */
export async function keepRelay(
  spec: InstanceSpec,
  port: number,
  environment: Record<string, string>,
  over: AbortSignal,
): Promise<void> {
  while (!over.aborted) {
    const start = await findStart(spec.directory)
    if (start) await relay({ spec, pid: start.pid, port, environment }, over)
    await wait(start ? RETRY_MS : LOOK_MS, undefined, { signal: over }).catch(() => undefined)
  }
}

interface RelayOrder {
  spec: InstanceSpec
  /** Of a process in the network of the instance. */
  pid: number
  port: number
  environment: Record<string, string>
}

/** Until it ends, or until aborted. */
async function relay(
  { spec: { isolation }, pid, port, environment }: RelayOrder,
  over: AbortSignal,
): Promise<void> {
  const user = isolation.kind === 'user-namespace' ? ['--user', '--preserve-credentials'] : []
  const child = spawn(
    'nsenter',
    ['--target', String(pid), ...user, '--net', '--', process.execPath, PROGRAM, String(port)],
    {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...environment, NODE_NO_WARNINGS: '1' },
    },
  )
  const server = createServer()
  const end = () => child.kill('SIGKILL')
  over.addEventListener('abort', end)
  child.once('message', () => server.listen(port, '127.0.0.1'))
  // The one before may not have let go of the port yet.
  server.on('error', end)
  server.once('listening', () => child.send('serve', server, () => server.close()))
  child.on('error', () => undefined)
  try {
    await once(child, 'close')
  } catch {
    // It could not be started, which is tried again.
  } finally {
    over.removeEventListener('abort', end)
    server.close()
  }
}
