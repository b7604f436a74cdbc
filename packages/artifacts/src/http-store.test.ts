import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  type RunningServer,
  startServer as startTrackingServer,
} from '../../../tests/compat/server.ts'
import { missingPython, pythonOf } from '../../../tools/setup/python-environments.ts'
import { describeArtifactStore } from '../test/artifact-store-behaviour.ts'
import { parseArtifactPath as at } from './artifact-path.ts'
import { openStore } from './artifact-store.ts'
import { checkStore } from './check-store.ts'
import { parseLocation } from './location.ts'

const STOCK = 'mlflow-3.17.2'
const START_LIMIT_MS = 300_000
const ROUTE = '/api/2.0/mlflow-artifacts/artifacts'

describe('behind a server of ours', () => {
  let tracking: RunningServer
  beforeAll(async () => {
    tracking = await startTrackingServer('millrace')
  }, START_LIMIT_MS)
  afterAll(() => tracking[Symbol.asyncDispose]())

  describeArtifactStore(
    'the HTTP store',
    async () => openStore(parseLocation(`${tracking.url}${ROUTE}/tests/${randomUUID()}`)),
    { streamedMib: 128 },
  )

  test('a location that gives every right is left as it was', async () => {
    const location = parseLocation(`${tracking.url}${ROUTE}/${randomUUID()}`)

    await checkStore(location, { access: 'write' })

    expect(await openStore(location).list(at(''))).toEqual([])
  })
})

describe(`behind MLflow's own server ${STOCK}`, () => {
  if (!existsSync(pythonOf(STOCK)) && !process.env['CI']) {
    test('the HTTP store', (context) => context.skip(missingPython(STOCK)))
    return
  }

  let tracking: RunningServer
  beforeAll(async () => {
    tracking = await startTrackingServer(STOCK)
  }, START_LIMIT_MS)
  afterAll(() => tracking[Symbol.asyncDispose]())

  const open = () => openStore(parseLocation(`${tracking.url}${ROUTE}/${randomUUID()}`))

  test('files are written, listed, read in whole and in part, and deleted', async () => {
    const store = open()
    for (const path of ['a b+c%.txt', 'dir/größe', 'dir/deep/x']) {
      await store.write(at(path), bytes('0123456789'))
    }

    expect(await store.list(at(''))).toEqual([
      { kind: 'file', path: ['a b+c%.txt'], sizeBytes: 10 },
      { kind: 'directory', path: ['dir'] },
    ])
    expect(await text((await store.open(at('dir/größe'))).body)).toBe('0123456789')
    const part = await store.open(at('a b+c%.txt'), { range: { lastBytes: 3 } })
    expect([part.range, await text(part.body)]).toEqual([{ start: 7, end: 9 }, '789'])
    await store.delete(at('dir'))
    expect((await store.list(at(''))).map(({ path }) => path.join('/'))).toEqual(['a b+c%.txt'])
  })

  test('directories and what is missing are told from files', async () => {
    const store = open()
    await store.write(at('dir/x'), bytes('x'))

    expect(await store.stat(at('dir'))).toEqual({ kind: 'directory' })
    await expect(store.open(at('dir'))).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' })
    await expect(store.open(at('none'))).rejects.toMatchObject({
      message: "No such artifact: 'none'",
    })
  })
})

describe('a server that misbehaves', () => {
  let server: Server
  afterEach(() => server.close())

  const against = async (listener: RequestListener, headers: Record<string, string> = {}) => {
    server = createServer(listener).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    return {
      url,
      store: openStore(parseLocation('mlflow-artifacts:/'), { server: { url, headers } }),
    }
  }

  test('is asked again where its download broke off, for the same version', async () => {
    const seen: string[] = []
    const { store } = await against((request, response) => {
      const { range = '', 'if-range': ifRange = '' } = request.headers
      seen.push(`${range} ${String(ifRange)}`)
      if (range === '') {
        response.writeHead(200, { 'content-length': 10, etag: '"v1"' })
        response.write('01234', () => response.destroy())
      } else {
        response.writeHead(206, { 'content-range': 'bytes 5-9/10', etag: '"v1"' }).end('56789')
      }
    })

    expect(await text((await store.open(at('f'))).body)).toBe('0123456789')
    expect(seen).toEqual([' ', 'bytes=5-9 "v1"'])
  })

  test('and has another version by then fails the download', async () => {
    const { store } = await against((request, response) => {
      response.writeHead(200, { 'content-length': 10, etag: '"v1"' })
      if (request.headers.range !== undefined) response.end('other text')
      else response.write('01234', () => response.destroy())
    })

    await expect(text((await store.open(at('f'))).body)).rejects.toMatchObject({
      code: 'TEMPORARILY_UNAVAILABLE',
    })
  })

  test.each<[number, string]>([
    [401, 'PERMISSION_DENIED'],
    [403, 'PERMISSION_DENIED'],
    [404, 'RESOURCE_DOES_NOT_EXIST'],
    [429, 'TEMPORARILY_UNAVAILABLE'],
    [500, 'TEMPORARILY_UNAVAILABLE'],
    [503, 'TEMPORARILY_UNAVAILABLE'],
  ])('with %i is %s to our clients', async (status, code) => {
    const { store } = await against((_request, response) => {
      response.writeHead(status).end(JSON.stringify({ message: 'because' }))
    })

    await expect(store.list(at(''))).rejects.toMatchObject({ code })
  })

  test('is not followed to another address', async () => {
    const { store } = await against((_request, response) => {
      response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end()
    })

    await expect(store.open(at('f'))).rejects.toMatchObject({ code: 'TEMPORARILY_UNAVAILABLE' })
  })
})

test('credentials go to the server that they are for and to no other', async () => {
  const seen: (string | undefined)[] = []
  const other = createServer((request, response) => {
    seen.push(request.headers.authorization)
    response.end('{}')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => other.once('listening', resolve))
  const host = `127.0.0.1:${(other.address() as AddressInfo).port}`
  const headers = { authorization: 'Bearer secret' }
  const list = (uri: string, url: string) =>
    openStore(parseLocation(uri), { server: { url, headers } }).list(at(''))

  await list(`mlflow-artifacts://${host}/x`, 'http://127.0.0.1:9')
  await list(`http://${host}${ROUTE}/x`, 'http://127.0.0.1:9')
  await list('mlflow-artifacts:/x', `http://${host}`)
  other.close()

  expect(seen).toEqual([undefined, undefined, 'Bearer secret'])
})

async function* bytes(content: string) {
  yield Buffer.from(content)
}
