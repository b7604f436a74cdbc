import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { callServer, type ServerCall } from './call-server.ts'

/** A server of a model, and how to call it. */
async function startModel(answer: RequestListener) {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  return {
    port,
    server,
    call: (changes: Partial<ServerCall> = {}) =>
      callServer({
        port,
        headers: { 'content-type': 'text/csv' },
        body: Buffer.from('1,2'),
        timeoutMs: 5_000,
        answerBytesMax: 100,
        signal: new AbortController().signal,
        ...changes,
      }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

test('a body goes to /invocations and its answer comes back', async () => {
  await using model = await startModel((request, response) => {
    request.pipe(
      response.writeHead(200, {
        'x-path': `${request.method} ${request.url}`,
        'content-type': 'a/b',
      }),
    )
  })
  expect(await model.call()).toMatchObject({
    status: 200,
    headers: { 'x-path': 'POST /invocations', 'content-type': 'a/b' },
    body: Buffer.from('1,2'),
  })
})

test('a server that does not answer in time, that is not there, or that answers too much, is told apart', async () => {
  await using slow = await startModel(() => undefined)
  await expect(slow.call({ timeoutMs: 100 })).rejects.toMatchObject({ kind: 'timeout' })
  await expect(slow.call({ signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
    kind: 'gone',
  })
  await using large = await startModel((_request, response) => response.end('x'.repeat(101)))
  await expect(large.call()).rejects.toMatchObject({ kind: 'too-large' })
  await using broken = await startModel((_request, response) => response.destroy())
  await expect(broken.call()).rejects.toMatchObject({ kind: 'broken' })
  const gone = await startModel(() => undefined)
  await gone[Symbol.asyncDispose]()
  await expect(gone.call()).rejects.toMatchObject({ kind: 'refused' })
})

test('requests that follow each other share a connection, which is closed before a server would', async () => {
  const seen = new Set<unknown>()
  await using model = await startModel((request, response) => {
    seen.add(request.socket)
    response.end('well')
  })
  await model.call()
  await model.call()
  expect(seen.size).toBe(1)
  const closed = new Promise((resolve) => {
    for (const socket of seen) if (socket instanceof Socket) socket.once('close', resolve)
  })
  const startedMs = performance.now()
  await closed
  // Node's own servers, as this one, close such a connection after five seconds.
  expect(performance.now() - startedMs).toBeLessThan(4_500)
})
