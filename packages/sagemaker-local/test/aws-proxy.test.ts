import { stat } from 'node:fs/promises'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAuthority, createServerIdentity } from '../src/proxy/certificates.ts'
import { openLocalAuthority } from '../src/proxy/local-authority.ts'
import { startTestPlane, type TestPlane } from './start-test-plane.ts'

let running: TestPlane

beforeAll(async () => {
  running = await startTestPlane({ hasRunner: false, proxyTunnels: ['*.allowed.test'] })
})
afterAll(() => running[Symbol.asyncDispose]())

/** Asks the plane for a way to a host; its answer, and the connection if there is one. */
function tunnelTo(target: string) {
  const { hostname, port } = new URL(running.url)
  return new Promise<{ status: number; socket: Duplex }>((resolve, reject) => {
    const asked = request({ hostname, port, method: 'CONNECT', path: target })
    asked.once('connect', ({ statusCode = 0 }, socket) => resolve({ status: statusCode, socket }))
    asked.once('error', reject)
    asked.end()
  })
}

async function secured(host: string, ca: string): Promise<TLSSocket> {
  const { socket } = await tunnelTo(`${host}:443`)
  return await new Promise((resolve, reject) => {
    const inner = connect({ socket, servername: host, ca, ALPNProtocols: ['http/1.1'] })
    inner.once('secureConnect', () => resolve(inner))
    inner.once('error', reject)
  })
}

const authority = async () => (await fetch(`${running.url}/.millrace/authority.pem`)).text()

test.each([
  'sts.eu-west-1.amazonaws.com',
  'some.bucket.s3.amazonaws.com',
  's3.cn-north-1.amazonaws.com.cn',
])('who trusts the authority finds the plane at %s', async (host) => {
  const socket = await secured(host, await authority())
  let answer = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    answer += chunk
  })
  const ended = new Promise((resolve) => socket.once('end', resolve))
  socket.write(
    `POST / HTTP/1.1\r\nhost: ${host}\r\nx-amz-target: SageMaker.ListTrainingJobs\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`,
  )
  await ended
  expect(answer).toContain('HTTP/1.1 200 OK')
  expect(answer).toContain('{"TrainingJobSummaries":[]}')
})

test('a page cannot come in through the proxy either', async () => {
  const host = 'sts.us-east-1.amazonaws.com'
  const socket = await secured(host, await authority())
  const first = new Promise<string>((resolve) => socket.once('data', (data) => resolve(`${data}`)))
  socket.write(
    `POST / HTTP/1.1\r\nhost: ${host}\r\norigin: https://evil.example\r\nx-amz-target: SageMaker.ListTrainingJobs\r\ncontent-length: 2\r\n\r\n{}`,
  )
  expect(await first).toContain('HTTP/1.1 403')
  socket.destroy()
})

test.each([
  ['example.com:443', 403],
  ['amazonaws.com.evil.example:443', 403],
  ['sts.us-east-1.amazonaws.com:22', 403],
  ['127.0.0.1:22', 403],
  ['allowed.test:443', 403],
  ['x.allowed.test:80', 403],
  ['nonsense', 400],
  // Let through, and not there.
  ['x.allowed.test:443', 502],
])('a way to %s is answered with %i', async (target, status) => {
  const answer = await tunnelTo(target)
  answer.socket.destroy()
  expect(answer.status).toBe(status)
})

test('a plane started in a shell that it is the proxy of installs nothing through itself', async () => {
  const first = await startTestPlane({ hasRunner: false })
  const port = Number(new URL(first.url).port)
  await first[Symbol.asyncDispose]()
  const environment = { PATH: '/bin', HTTPS_PROXY: first.url }

  await using second = await startTestPlane({ hasRunner: false, port, environment })

  expect(second.plane.settings.environment).toEqual({ PATH: '/bin' })
})

describe('the authority', () => {
  test('is readable by its owner alone, and the same after a restart', async () => {
    const before = await authority()
    const { mode } = await stat(join(running.directory, 'authority.pem'))
    expect(mode & 0o777).toBe(0o600)

    expect(openLocalAuthority(running.directory).certificate).toBe(before)
    expect(before).not.toContain('PRIVATE KEY')
  })

  test('vouches for no other sites', async () => {
    const own = createAuthority(['amazonaws.com'])
    const evil = createServerIdentity(own, 'bank.example')
    const server = createServer({
      key: evil.key.export({ type: 'pkcs8', format: 'pem' }),
      cert: evil.certificate,
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const refused = new Promise((_resolve, reject) => {
      const options = { host: '127.0.0.1', port, servername: 'bank.example', ca: own.certificate }
      connect(options).once('error', reject)
    })
    await expect(refused).rejects.toThrow('permitted subtree violation')
    server.close()
  })
})
