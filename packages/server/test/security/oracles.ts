import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { type Client, createClient } from '@millrace/client/client'
import { createAgent, type FuzzAnswer, sendRaw } from '../fuzz-client.ts'
import { type ServerProcess, startServerProcess } from '../server-process.ts'
import { temporaryFolder } from '../temporary-folder.ts'

export const CANARY = 'canary-7f3a-do-not-sing'
export const STATIC_PREFIX = '/behind/proxy'

/** Every way to spell where the API begins. */
export const API_PREFIXES = ['', STATIC_PREFIX].flatMap((prefix) =>
  ['/api', '/ajax-api'].flatMap((root) => ['/2.0', '/2.0/preview'].map((v) => prefix + root + v)),
)

/**
 * A server that is watched: a canary lies beside its data, a listener waits for it to be called,
 * and everything it answers is searched.
 */
export interface WatchedServer extends AsyncDisposable {
  process: ServerProcess
  client: Client
  /** The directory with the canary; its file is `secret.txt`. */
  outside: string
  /** A URL that nobody may call. */
  trapUrl: string
  send(
    method: string,
    url: string,
    body?: string | Buffer,
    headers?: Record<string, string>,
  ): Promise<FuzzAnswer>
  /** What any of the watchers has seen; empty when nothing happened. */
  alarms(): string[]
}

export async function startWatchedServer(args: readonly string[] = []): Promise<WatchedServer> {
  const folder = await temporaryFolder()
  const outside = join(folder.path, 'outside')
  mkdirSync(outside)
  writeFileSync(join(outside, 'secret.txt'), CANARY)
  const calls: string[] = []
  const trap = await listen((from) => calls.push(from))
  const process = await startServerProcess({
    folder: join(folder.path, 'data'),
    args: ['--static-prefix', STATIC_PREFIX, ...args],
    env: { MILLRACE_TEST_SECRET: CANARY },
  })
  const before = describeTree(folder.path)
  const agent = createAgent(4)
  const leaks: string[] = []
  const address = trap.address()
  const trapPort = typeof address === 'object' && address !== null ? address.port : 0

  return {
    process,
    client: createClient({ baseUrl: process.url }),
    outside,
    trapUrl: `http://127.0.0.1:${trapPort}`,
    async send(method, url, body, headers = {}) {
      const bytes = typeof body === 'string' ? Buffer.from(body) : body
      const type = bytes === undefined ? {} : { 'content-type': 'application/json' }
      const request = { method, url, body: bytes, headers: { ...type, ...headers } }
      const answer = await sendRaw(process.port, request, agent)
      const text = answer.body.toString() + JSON.stringify(answer.headers)
      if (text.includes(CANARY) || text.includes('root:x:0:')) leaks.push(`${method} ${url}`)
      return answer
    },
    alarms() {
      const ended = process.ended()
      return [
        ...leaks.map((leak) => `told a secret: ${leak}`),
        ...calls.map((call) => `called the trap: ${call}`),
        ...process.children().map((child) => `started ${child}`),
        ...describeTree(folder.path).filter((line) => !before.includes(line)),
        ...(ended === undefined ? [] : [`ended with ${ended}`]),
      ]
    },
    async [Symbol.asyncDispose]() {
      agent.destroy()
      trap.close()
      await process.kill()
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** Everything outside of the server's own directory, with sizes and times. */
function describeTree(root: string): string[] {
  const lines: string[] = []
  const visit = (path: string) => {
    for (const name of readdirSync(path)) {
      const child = join(path, name)
      if (child === join(root, 'data')) continue
      const stats = statSync(child)
      lines.push(`${child} ${stats.size} ${stats.isDirectory() ? '' : stats.mtimeMs}`)
      if (stats.isDirectory()) visit(child)
    }
  }
  visit(root)
  return lines
}

function listen(onCall: (from: string) => void): Promise<Server> {
  const { promise, resolve } = Promise.withResolvers<Server>()
  const server = createServer((socket) => {
    onCall(`port ${socket.remotePort}`)
    socket.destroy()
  })
  server.listen(0, '127.0.0.1', () => resolve(server))
  return promise
}

export function json(answer: FuzzAnswer): Record<string, unknown> {
  return JSON.parse(answer.body.toString()) as Record<string, unknown>
}
