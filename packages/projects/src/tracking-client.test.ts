import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseTrackingUri } from '@millrace/models/tracking-server'
import { afterEach, expect, test } from 'vitest'
import { trackingClient } from './tracking-client.ts'

let server: Server | undefined
afterEach(() => server?.close())

/** A server that gives these statuses one after the other, and counts. */
async function answering(...statuses: number[]) {
  let calls = 0
  server = createServer((_request, response) => {
    const status = statuses[calls] ?? 200
    calls += 1
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', () => resolve()))
  const { port } = server.address() as AddressInfo
  const client = trackingClient(parseTrackingUri(`http://127.0.0.1:${port}`, {}), {
    tries: 3,
    firstWaitMs: 1,
  })
  return { search: () => client.experiments.search({ max_results: 1 }), calls: () => calls, port }
}

test('a busy server is asked again, as often as patience lasts', async () => {
  const { search, calls } = await answering(503, 429)

  expect(await search()).toEqual({})
  expect(calls()).toBe(3)
})

test('credentials that are refused are not shown again', async () => {
  const { search, calls } = await answering(401)

  await expect(search()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  expect(calls()).toBe(1)
})

test('a server that is away is waited for, and comes back', async () => {
  const { search, port } = await answering(200)
  await new Promise((resolve) => server?.close(resolve))
  const asked = trackingClient(parseTrackingUri(`http://127.0.0.1:${port}`, {}), {
    tries: 12,
    firstWaitMs: 1,
  }).experiments.search({ max_results: 1 })
  server?.listen(port, '127.0.0.1')

  expect(await asked).toEqual({})
  expect(await search()).toEqual({})
})
