import { connect } from 'node:net'
import fastify, { type FastifyInstance } from 'fastify'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { limitBodyTime } from './body-deadline.ts'

let app: FastifyInstance
let port: number
beforeAll(async () => {
  app = fastify()
  limitBodyTime(app, 300)
  app.post('/', async () => ({ ok: true }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const address = app.server.address()
  port = typeof address === 'object' && address ? address.port : 0
})
afterAll(() => app.close())

/** Sends a JSON body in pieces, one every so often; resolves to all that came back. */
function sendSlowly(pieces: string[], pauseMs: number): Promise<string> {
  const length = pieces.join('').length
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1')
    socket.write(
      `POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`,
    )
    const timer = setInterval(() => {
      const piece = pieces.shift()
      if (piece === undefined) clearInterval(timer)
      else socket.write(piece)
    }, pauseMs)
    socket.on('data', (data) => {
      answer += data.toString()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearInterval(timer)
      resolve(answer)
    })
  })
}

test('a body that trickles in is answered 408', async () => {
  const answer = await sendSlowly(`{"a": "${'x'.repeat(50)}"}`.split(''), 50)

  expect(answer).toMatch(/^HTTP\/1\.1 408 /)
})

test('a body that arrives in time is read', async () => {
  expect(await sendSlowly(['{"a":', ' 1}'], 20)).toMatch(/^HTTP\/1\.1 200 /)
})
