import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startWatchedServer, type WatchedServer } from './oracles.ts'

let server: WatchedServer
beforeAll(async () => {
  server = await startWatchedServer()
})
afterAll(() => server[Symbol.asyncDispose]())
afterEach(async () => {
  expect(server.alarms()).toEqual([])
  expect((await server.send('GET', '/health')).status).toBe(200)
  expect(server.process.output()).not.toContain('unexpected error')
})

async function open(): Promise<Socket> {
  const socket = connect(server.process.port, '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

/** Sends bytes as they are and reads all that comes back until the server is silent or hangs up. */
async function exchange(bytes: string | Buffer, silenceMs = 400): Promise<string> {
  const socket = await open()
  const chunks: Buffer[] = []
  const ended = Promise.withResolvers<void>()
  let silence = setTimeout(ended.resolve, silenceMs * 4)
  socket.on('data', (chunk) => {
    chunks.push(chunk)
    clearTimeout(silence)
    silence = setTimeout(ended.resolve, silenceMs)
  })
  socket.on('close', () => ended.resolve())
  socket.write(bytes)
  await ended.promise
  clearTimeout(silence)
  socket.destroy()
  return Buffer.concat(chunks).toString()
}

function statuses(answers: string): number[] {
  return [...answers.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
}

function get(target: string, ...headers: string[]): string {
  return [
    `GET ${target} HTTP/1.1`,
    ...(headers.length > 0 ? headers : ['Host: localhost']),
    '',
    '',
  ].join('\r\n')
}

const SEARCH = '/api/2.0/mlflow/experiments/search?max_results=1'

describe('the Host header', () => {
  test.each([
    [
      'is there twice, the first one foreign',
      ['Host: evil.example', 'Host: localhost'],
      [400, 421],
    ],
    ['is missing', ['Accept: */*'], [400]],
    ['is empty', ['Host:'], [400, 421]],
    ['has spaces in it', ['Host: localhost evil.example'], [400, 421]],
    ['has a user in it', ['Host: localhost@evil.example'], [421]],
    ['is folded', ['Host: localhost', ' evil.example'], [400, 421]],
    ['has a space before its colon', ['Host : localhost'], [400, 421]],
  ])('that %s is refused', async (_what, headers, expected) => {
    expect(statuses(await exchange(get(SEARCH, ...headers)))[0]).toBeOneOf(expected)
  })

  test('is not made up for by one that a proxy would send', async () => {
    const headers = [
      'Host: evil.example',
      'X-Forwarded-Host: localhost',
      'Forwarded: host=localhost',
    ]
    expect(statuses(await exchange(get(SEARCH, ...headers)))).toEqual([421])
  })

  test('of HTTP/1.0 may not be missing either', async () => {
    expect(statuses(await exchange(`GET ${SEARCH} HTTP/1.0\r\n\r\n`))).toEqual([421])
  })
})

describe('a request target', () => {
  const artifacts = '/api/2.0/mlflow-artifacts/artifacts'
  test.each([
    `${artifacts}/../../../../../../etc/passwd`,
    `${artifacts}/..\\..\\..\\etc\\passwd`,
    `${artifacts}/.%2e/.%2e/.%2e/.%2e/etc/passwd`,
    `${artifacts}//etc/passwd`,
    `${artifacts}/%2e%2e%5c%2e%2e%5coutside%5csecret.txt`,
    `${artifacts}/..;/..;/outside/secret.txt`,
    `/api/2.0/../../outside/secret.txt`,
    `/../outside/secret.txt`,
    `//../outside/secret.txt`,
    `/assets/../../outside/secret.txt`,
    `/assets/%2e%2e/%2e%2e/outside/secret.txt`,
    `/static-files/../../../../etc/passwd`,
    `http://localhost${artifacts}/../../../../etc/passwd`,
    `http://evil.example${artifacts}/..%2f..%2foutside/secret.txt`,
    `file:///etc/passwd`,
    `*`,
    `etc/passwd`,
    `/\u00ff\u00fe`,
    `/%`,
    `/api/2.0/mlflow/runs/get?run_id=%`,
    `/${'a'.repeat(15_000)}`,
    `${artifacts}/${'a/'.repeat(7000)}`,
  ])('%.80s leads nowhere', async (target) => {
    const answer = await exchange(Buffer.from(get(target), 'latin1'))

    expect(statuses(answer)[0]).toBeOneOf([400, 404, 405, 414, 421, 431])
    expect(answer).not.toMatch(/canary-7f3a|root:x:0/)
  })
})

const HOST = 'Host: localhost'
const JSON_TYPE = 'Content-Type: application/json'
const SMUGGLED = get('/version')

describe('a body whose end is in doubt hides no second request:', () => {
  const create = 'POST /api/2.0/mlflow/experiments/create HTTP/1.1'
  test.each([
    ['two lengths', ['Content-Length: 0', `Content-Length: ${SMUGGLED.length}`]],
    ['two lengths in one header', [`Content-Length: 0, ${SMUGGLED.length}`]],
    [
      'a length and chunks',
      [`Content-Length: ${SMUGGLED.length + 5}`, 'Transfer-Encoding: chunked'],
    ],
    ['chunks of a made-up kind', ['Transfer-Encoding: xchunked']],
    ['chunks behind a space', ['Transfer-Encoding : chunked']],
    ['chunks behind another coding', ['Transfer-Encoding: chunked, identity']],
    ['chunks behind a tab', ['Transfer-Encoding:\tchunked\t,']],
    ['a negative length', ['Content-Length: -1']],
    ['a length with a sign', ['Content-Length: +0']],
    ['a length in hexadecimal', ['Content-Length: 0x0']],
    ['a length beyond 64 bits', ['Content-Length: 99999999999999999999']],
    ['a header with a line break of its own', ['X: a\nContent-Length: 0']],
    ['a header with a NUL', ['X: a\0b', 'Content-Length: 0']],
    ['a header without a colon', ['Content-Length 0']],
  ])('%s', async (_what, headers) => {
    const request = [create, HOST, JSON_TYPE, ...headers, '', ''].join('\r\n')

    const answer = await exchange(`${request}0\r\n\r\n${SMUGGLED}`)

    expect(statuses(answer)[0]).toBe(400)
    expect(statuses(answer)).toHaveLength(1)
  })

  test.each([
    'zz\r\n',
    '-1\r\n',
    'ffffffffffffffffff\r\n',
    '5;a=b\r\nabc',
    `1;${'x'.repeat(70_000)}\r\na\r\n`,
  ])('the chunk %.20j', async (chunk) => {
    const head = [create, HOST, JSON_TYPE, 'Transfer-Encoding: chunked', '', ''].join('\r\n')
    const answer = await exchange(head + chunk + SMUGGLED)
    expect(statuses(answer).filter((status) => status < 400)).toEqual([])
  })
})

test('a flood of headers is refused with the form of every other error', async () => {
  const flood = Array.from({ length: 5000 }, (_, i) => `X-${i}: ${'v'.repeat(20)}`)

  const answer = await exchange(get('/health', HOST, ...flood))

  expect(statuses(answer)).toEqual([431])
  expect(answer).toContain('"error_code":"BAD_REQUEST"')
})

test.each(['CONNECT localhost:80', 'TRACE /', 'BREW /', 'get /health'])(
  'the method of "%s" is none of ours',
  async (line) => {
    const answer = await exchange(`${line} HTTP/1.1\r\n${HOST}\r\n\r\n`)
    expect(statuses(answer).filter((status) => status < 400)).toEqual([])
  },
)

test.each(['Upgrade: websocket', 'Upgrade: h2c'])('%s is not followed', async (upgrade) => {
  const answer = await exchange(get('/health', HOST, upgrade, 'Connection: Upgrade'))
  expect(statuses(answer)[0]).toBeOneOf([200, 400, 426])
})

test('a hundred requests in one go are answered in their order', async () => {
  const targets = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? '/health' : '/no-such'))

  const answer = await exchange(targets.map((target) => get(target)).join(''), 2000)

  expect(statuses(answer)).toEqual(targets.map((target) => (target === '/health' ? 200 : 404)))
})

describe('a body', () => {
  const log = '/api/2.0/mlflow/runs/log-batch'
  test('of compressed zeros stays compressed', async () => {
    const before = residentBytes()
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024))

    const answer = await server.send('POST', log, bomb, { 'content-encoding': 'gzip' })

    expect(answer.status).toBeOneOf([400, 415])
    expect(residentBytes() - before).toBeLessThan(60 * 1024 * 1024)
  })

  test('without a length is cut off at the limit', async () => {
    const socket = await open()
    const answered = new Promise<Buffer>((resolve) => void socket.once('data', resolve))
    const ended = new Promise((resolve) => void socket.once('close', resolve))
    socket.write(
      `POST ${log} HTTP/1.1\r\n${HOST}\r\n${JSON_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    )
    const chunk = `100000\r\n${' '.repeat(0x100000)}\r\n`
    for (let i = 0; i < 40 && !socket.destroyed; i++) {
      const drained = new Promise((resolve) => void socket.once('drain', resolve))
      if (!socket.write(chunk)) await Promise.race([drained, ended, answered])
    }
    expect(statuses((await answered).toString())).toEqual([413])
    socket.destroy()
  })

  test('of an upload that stops half way leaves nothing, and no complaint', async () => {
    const path = '/api/2.0/mlflow-artifacts/artifacts/half.bin'
    for (const sizeBytes of [10, 500_000]) {
      const socket = await open()
      socket.write(`PUT ${path} HTTP/1.1\r\n${HOST}\r\nContent-Length: 1000000\r\n\r\n`)
      socket.write(Buffer.alloc(sizeBytes, 1))
      await expect.poll(() => socket.writableLength).toBe(0)
      socket.destroy()
    }
    await expect.poll(async () => (await server.send('GET', path)).status).toBe(404)
    const { files } = JSON.parse(
      (await server.send('GET', '/api/2.0/mlflow-artifacts/artifacts')).body.toString(),
    ) as { files?: { path: string }[] }
    expect(files?.map(({ path }) => path) ?? []).not.toContain('half.bin')
  })

  test('of a page’s upload that is too large is refused, and the connection goes on', async () => {
    const { run } = await server.client.runs.create({ experiment_id: '0' })
    const url = `/ajax-api/2.0/mlflow/upload-artifact?run_uuid=${run.info.run_id}&path=a.bin`
    const body = Buffer.alloc(12 * 1024 * 1024)
    const chunked = `${body.length.toString(16)}\r\n${body.toString('latin1')}\r\n0\r\n\r\n`
    const head = `POST ${url} HTTP/1.1\r\n${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n`

    const answer = await exchange(Buffer.from(head + chunked + SMUGGLED, 'latin1'), 3000)

    expect(statuses(answer)).toEqual([400, 200])
  })
})

describe('connections that do nothing', () => {
  test('keep nobody waiting, and cost little memory', async () => {
    const before = residentBytes()
    const idle = await Promise.all(Array.from({ length: 800 }, open))
    const slow = await Promise.all(Array.from({ length: 150 }, open))
    for (const socket of slow.slice(0, 75)) socket.write('GET /health HTTP/1.1\r\nX-A: ')
    for (const socket of slow.slice(75)) {
      socket.write(
        `POST /api/2.0/mlflow/runs/create HTTP/1.1\r\n${HOST}\r\n${JSON_TYPE}\r\nContent-Length: 900\r\n\r\n{`,
      )
    }
    const dripping = setInterval(() => slow.forEach((socket) => socket.write('x')), 50)

    const latencies: number[] = []
    for (let i = 0; i < 40; i++) {
      const { status, ms } = await server.send('GET', SEARCH)
      expect(status).toBe(200)
      latencies.push(ms)
    }
    clearInterval(dripping)

    expect(latencies.sort((a, b) => a - b)[20]).toBeLessThan(500)
    expect(residentBytes() - before).toBeLessThan(80 * 1024 * 1024)
    for (const socket of [...idle, ...slow]) socket.destroy()
  })
})

/** Memory of the server's process. */
function residentBytes(): number {
  const status = readFileSync(`/proc/${server.process.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}
