import { once } from 'node:events'
import { createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { mountSageMakerProxy, type PlaneLink } from './sagemaker-proxy.ts'
import { createHttpServer, withBufferedBodies } from './server.ts'

const PATH = '/ajax-api/millrace/sagemaker'
const HOST = '127.0.0.1:5000'
const OWN = { host: HOST, origin: `http://${HOST}` }
const JSON_BODY = { 'content-type': 'application/json' }

let plane: ReturnType<typeof createServer>
let asked: IncomingMessage[]
let link: PlaneLink
let app: FastifyInstance

beforeEach(async () => {
  asked = []
  plane = createServer((request, response) => {
    asked.push(request)
    response.writeHead(409, { 'content-type': 'application/json' }).end('{"in":"use"}')
  })
  await new Promise<void>((resolve) => plane.listen(0, '127.0.0.1', resolve))
  const { port } = plane.address() as AddressInfo
  link = { address: { url: `http://127.0.0.1:${port}`, token: 'secret' } }
  app = createHttpServer({
    allowedHosts: [],
    allowedOrigins: ['https://friend.example'],
    exemptPaths: new Set(),
    frameOptions: 'SAMEORIGIN',
  })
  await withBufferedBodies(app, (scope) => mountSageMakerProxy(scope, '/ml', link))
})

afterEach(async () => {
  await app.close()
  plane.closeAllConnections()
  plane.close()
})

describe('questions about jobs and endpoints', () => {
  test.each(['', '/ml'])(
    'go to the control plane with its token and nothing else of the request, below %j',
    async (prefix) => {
      const answer = await app.inject({
        method: 'POST',
        url: `${prefix}${PATH}/training-jobs/a/stop?b=1`,
        headers: { ...OWN, ...JSON_BODY, cookie: 'own=1', 'x-amz-target': 'S3.Delete' },
        payload: '{}',
      })

      expect([answer.statusCode, answer.body]).toEqual([409, '{"in":"use"}'])
      expect(asked.map(({ method, url }) => `${method} ${url}`)).toEqual([
        'POST /.millrace/pages/training-jobs/a/stop?b=1',
      ])
      expect(asked[0]?.headers).toMatchObject({ 'x-millrace-pages': 'secret' })
      expect(asked[0]?.headers).not.toHaveProperty('cookie')
      expect(asked[0]?.headers).not.toHaveProperty('x-amz-target')
    },
  )

  test.each([
    ['GET', '/endpoints', { host: HOST, origin: 'https://friend.example' }, 403],
    ['POST', '/endpoints/a/delete', { ...OWN, 'content-type': 'text/plain' }, 400],
  ] as const)('%s %s with %j never gets there', async (method, path, headers, status) => {
    const answer = await app.inject({ method, url: PATH + path, headers })

    expect(answer.statusCode).toBe(status)
    expect(asked).toEqual([])
  })

  test.each(['/../../bucket', '/%2e%2e/about', '/x/../../about'])(
    'do not lead up to the rest of the control plane by %s',
    async (path) => {
      await app.listen({ host: '127.0.0.1', port: 0 })
      const { port } = app.server.address() as AddressInfo
      // Other clients take the dots out themselves.
      const [answer] = (await once(
        get({ host: '127.0.0.1', port, path: PATH + path, agent: false }),
        'response',
      )) as [IncomingMessage]
      answer.resume()

      expect(answer.statusCode).toBe(404)
      expect(asked).toEqual([])
    },
  )

  test('are to be asked again while the control plane is being started', async () => {
    link.address = undefined

    const answer = await app.inject({ url: `${PATH}/endpoints`, headers: OWN })

    expect(answer.statusCode).toBe(503)
    expect(answer.headers['retry-after']).toBe('1')
  })
})
