import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createClient } from './client.ts'
import { retryingFetch } from './retrying-fetch.ts'

/** What the server does to one request after another; the last one to all that follow. */
let answers: ((response: ServerResponse) => void)[]
let bodies: string[]
const server = createServer(async (request, response) => {
  const chunks = await Array.fromAsync(request as AsyncIterable<Buffer>)
  bodies.push(Buffer.concat(chunks).toString())
  const [answer] = answers.length > 1 ? answers.splice(0, 1) : answers
  answer?.(response)
})

beforeEach(async () => {
  bodies = []
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const answered = (response: ServerResponse) => response.end('{"experiment_id":"7"}')
const brokenOff = (response: ServerResponse) => response.destroy()
const cutInBody = (response: ServerResponse) => {
  response.writeHead(200, { 'content-length': '21' })
  response.write('{"experi', () => response.destroy())
}
const refused = (status: number) => (response: ServerResponse) =>
  response.writeHead(status, { 'retry-after': '0' }).end('{}')

function create(options = {}) {
  const { port } = server.address() as AddressInfo
  const fetch = retryingFetch({ pauseMs: 1, ...options })
  const client = createClient({ baseUrl: `http://127.0.0.1:${port}`, fetch })
  return client.experiments.create({ name: 'n' })
}

test('a request is sent again, as it was, until it is answered', async () => {
  answers = [brokenOff, cutInBody, refused(429), refused(503), answered]

  expect(await create()).toEqual({ experiment_id: '7' })
  expect(new Set(bodies)).toEqual(new Set(['{"name":"n"}']))
  expect(bodies).toHaveLength(5)
})

test('one that gets no answer in time is broken off and sent again', async () => {
  answers = [() => {}, answered]

  expect(await create({ timeoutMs: 50 })).toEqual({ experiment_id: '7' })
})

test('a refusal for what was asked is not asked for again', async () => {
  answers = [refused(400)]

  await expect(create()).rejects.toThrow('400')
  expect(bodies).toHaveLength(1)
})

test('after the last repetition the last answer counts', async () => {
  answers = [refused(503)]
  await expect(create({ retriesMax: 2 })).rejects.toThrow('503')
  expect(bodies).toHaveLength(3)

  answers = [brokenOff]
  await expect(create({ retriesMax: 1 })).rejects.toThrow('fetch failed')
})
