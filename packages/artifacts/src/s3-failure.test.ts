import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { buffer, text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { S3_CREDENTIALS, type S3Server, s3ServerNames, startS3Server } from '../test/s3-servers.ts'
import type { SignedRequest } from '../test/sigv4-check.ts'
import { type Fault, type StrictProxy, startStrictProxy } from '../test/strict-s3-proxy.ts'
import { parseArtifactPath as at } from './artifact-path.ts'
import { type ArtifactStore, openStore } from './artifact-store.ts'
import { parseLocation } from './location.ts'
import { DEFAULT_S3_OPTIONS, type S3Options } from './s3-options.ts'

Object.assign(process.env, S3_CREDENTIALS)

const MIB = 1024 * 1024
const CONTENT = Buffer.alloc(3 * MIB, 'abcdefghijklmnopqrstuvwxyz')

let server: S3Server
let proxy: StrictProxy
let prefix: string
let store: ArtifactStore
beforeAll(async () => {
  const [name = 's3rver'] = s3ServerNames()
  server = await startS3Server(name)
  proxy = await startStrictProxy(server.endpoint)
})
afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})
beforeEach(async () => {
  proxy.fault = () => undefined
  prefix = randomUUID()
  store = open()
  await store.write(at('a'), chunks(CONTENT))
  proxy.seen.length = 0
})

describe('a download', () => {
  test.each<[string, Fault]>([
    ['breaks off', { cutAfterBytes: MIB }],
    ['falls silent', { silentAfterBytes: MIB }],
  ])('that %s is taken up again where it ended', async (_what, fault) => {
    proxy.fault = firstOf('GET', fault)

    const { body, etag } = await impatient().open(at('a'))
    const content = await buffer(body)

    expect(content.equals(CONTENT)).toBe(true)
    const [, again] = proxy.seen.filter(isDownload)
    expect(again?.headers).toMatchObject({
      range: expect.stringMatching(/^bytes=[1-9]\d*-3145727$/),
      'if-match': etag,
    })
  })

  test.each<[string, Fault | undefined]>([
    ['fails rather than mixes both', undefined],
    ['fails also where the server knows no conditions', 'unconditional'],
  ])('of a file that is replaced meanwhile %s', async (_what, later) => {
    const first = firstOf('GET', { cutAfterBytes: MIB })
    proxy.fault = (request) => first(request) ?? (isDownload(request) ? later : undefined)
    const { body } = await store.open(at('a'))
    await once(body, 'readable')
    await store.write(at('a'), chunks(Buffer.alloc(3 * MIB, 'z')))

    await expect(buffer(body)).rejects.toThrow()
  })

  test('that never gets further fails', async () => {
    proxy.fault = (request) => (isDownload(request) ? { cutAfterBytes: 0 } : undefined)

    await expect(buffer((await store.open(at('a'))).body)).rejects.toThrow()

    expect(proxy.seen.filter(isDownload).length).toBeLessThan(12)
  })

  test('that its reader gives up is given up at the store', async () => {
    proxy.fault = firstOf('GET', { silentAfterBytes: MIB })
    const { body } = await store.open(at('a'))
    await once(body, 'readable')
    const [answer] = proxy.openAnswers

    body.destroy()

    await once(answer ?? body, 'close')
    expect(proxy.seen.filter(isDownload)).toHaveLength(1)
  })
})

describe('S3 that fails', () => {
  const unavailable = { code: 'TEMPORARILY_UNAVAILABLE', retryAfterSeconds: 5 }
  test.each<[string, Fault, object]>([
    ['is slow', { status: 503, code: 'SlowDown' }, unavailable],
    ['has an inner error', { status: 500, code: 'InternalError' }, unavailable],
    ['resets connections', 'reset', unavailable],
    ['does not answer', 'silence', unavailable],
    ['knows the keys no longer', { status: 400, code: 'ExpiredToken' }, unavailable],
    ['does not know the keys', { status: 403, code: 'InvalidAccessKeyId' }, unavailable],
    ['takes the keys for wrong', { status: 403, code: 'SignatureDoesNotMatch' }, unavailable],
    ['takes our clock for wrong', { status: 403, code: 'RequestTimeTooSkewed' }, unavailable],
    ['denies', { status: 403, code: 'AccessDenied' }, { code: 'PERMISSION_DENIED' }],
    [
      'denies the key',
      { status: 400, code: 'KMS.DisabledException' },
      { code: 'PERMISSION_DENIED' },
    ],
    [
      'has no such bucket',
      { status: 404, code: 'NoSuchBucket' },
      { code: 'RESOURCE_DOES_NOT_EXIST' },
    ],
    [
      'refuses the request',
      { status: 400, code: 'InvalidRequest' },
      { code: 'INVALID_PARAMETER_VALUE' },
    ],
  ])('because it %s is told as such, whatever was asked for', async (_what, fault, refusal) => {
    const impatience = impatient()
    await impatience.stat(at('a'))
    proxy.fault = () => fault

    const failures = await Promise.allSettled([
      impatience.open(at('a')),
      impatience.stat(at('a')),
      impatience.list(at('')),
      impatience.write(at('b'), chunks(Buffer.from('b'))),
      impatience.delete(at('a')),
      impatience.direct?.presignDownload(at('a'), 60),
    ])

    for (const failure of failures) {
      expect(failure).toMatchObject({ status: 'rejected', reason: refusal })
    }
  })

  test('says that a file is archived', async () => {
    proxy.fault = () => ({ status: 403, code: 'InvalidObjectState' })

    await expect(store.open(at('a'))).rejects.toMatchObject({ code: 'INVALID_STATE' })
  })

  test('and recovers is asked again', async () => {
    let failures = 0
    proxy.fault = () => (failures++ < 2 ? { status: 503, code: 'SlowDown' } : undefined)

    expect(await text((await store.open(at('a'), { range: { start: 0, end: 2 } })).body)).toBe(
      'abc',
    )
  })

  test('is told when it cannot be reached', async () => {
    const { endpoint, [Symbol.asyncDispose]: close } = await startStrictProxy(server.endpoint)
    await close()

    await expect(open({ endpoint }).list(at(''))).rejects.toMatchObject(unavailable)
  })

  test('is told when there are no credentials', async () => {
    const kept = { ...process.env }
    for (const name of Object.keys(S3_CREDENTIALS)) delete process.env[name]
    Object.assign(process.env, {
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    })
    try {
      await expect(open().list(at(''))).rejects.toMatchObject({
        ...unavailable,
        message: expect.stringContaining('no AWS credentials'),
      })
    } finally {
      Object.assign(process.env, kept)
    }
  })
})

describe('an upload', () => {
  const big = () => chunks(Buffer.alloc(20 * MIB, 'x'))

  test.each<[string, Fault]>([
    ['a part is reset', 'reset'],
    ['a part is damaged', 'damage'],
    ['a part is answered with another ETag', 'wrong-etag'],
  ])('survives that %s once', async (_what, fault) => {
    proxy.fault = firstOf('PUT', fault, 'partNumber=2')

    await store.write(at('big'), big())

    expect((await buffer((await store.open(at('big'))).body)).length).toBe(20 * MIB)
    expect(await unfinished()).toBe(0)
  })

  test('whose completion was done but not answered is a success', async () => {
    const first = firstOf('POST', 'lost-answer', 'uploadId')
    proxy.fault = (request) => {
      const isCompletion = request.method === 'POST' && request.url.includes('uploadId')
      return first(request) ?? (isCompletion ? { status: 404, code: 'NoSuchUpload' } : undefined)
    }

    await store.write(at('big'), big())

    expect((await buffer((await store.open(at('big'))).body)).length).toBe(20 * MIB)
  })

  test('whose completion is refused is a failure although an older file is there', async () => {
    await store.write(at('big'), big())
    proxy.fault = ({ method, url }) =>
      method === 'POST' && url.includes('uploadId')
        ? { status: 404, code: 'NoSuchUpload' }
        : undefined

    await expect(store.write(at('big'), chunks(Buffer.alloc(20 * MIB, 'y')))).rejects.toMatchObject(
      { name: 'ApiError' },
    )
  })

  test('whose bytes arrive as other ones, as its ETag tells, is a failure', async () => {
    proxy.fault = ({ method }) => (method === 'PUT' ? 'wrong-etag' : undefined)

    await expect(store.write(at('b'), chunks(Buffer.from('b')))).rejects.toMatchObject({
      code: 'TEMPORARILY_UNAVAILABLE',
      message: expect.stringContaining('damaged'),
    })
  })

  test('whose body fails does not wait for the part on its way', async () => {
    proxy.fault = ({ url }) => (url.includes('partNumber') ? 'silence' : undefined)
    async function* failing() {
      yield Buffer.alloc(9 * MIB)
      throw new Error('connection reset')
    }

    await expect(store.write(at('big'), failing())).rejects.toThrow('connection reset')
  })

  test.each<[string, Fault, string]>([
    ['its parts are refused', { status: 500, code: 'InternalError' }, 'partNumber=2'],
    ['its parts get other ETags', 'wrong-etag', 'partNumber'],
    ['its end is refused', { status: 400, code: 'InvalidPart' }, 'uploadId'],
  ])('leaves nothing behind when %s', async (_what, fault, part) => {
    proxy.fault = ({ method, url }) =>
      method !== 'DELETE' && url.includes(part) ? fault : undefined

    await expect(store.write(at('big'), big())).rejects.toMatchObject({ name: 'ApiError' })

    proxy.fault = () => undefined
    expect(await store.list(at(''))).toEqual([expect.objectContaining({ path: ['a'] })])
    expect(await unfinished()).toBe(0)
  })

  test('leaves no parts behind when its body fails', async () => {
    async function* failing() {
      yield Buffer.alloc(20 * MIB)
      throw new Error('connection reset')
    }

    await expect(store.write(at('big'), failing())).rejects.toThrow('connection reset')

    expect(proxy.seen.some(({ url }) => url.includes('partNumber=1'))).toBe(true)
    expect(await unfinished()).toBe(0)
  })

  test('leaves no parts behind when it is aborted while S3 is silent', async () => {
    const abort = new AbortController()
    proxy.fault = ({ url }) => {
      if (!url.includes('partNumber')) return undefined
      abort.abort()
      return 'silence'
    }

    await expect(store.write(at('big'), big(), { signal: abort.signal })).rejects.toMatchObject({
      name: 'AbortError',
    })

    expect(await unfinished()).toBe(0)
  })

  /** How many uploads were begun and neither completed nor given up. */
  async function unfinished(): Promise<number> {
    const url = `${server.endpoint}/${server.bucket}?uploads`
    return (await (await fetch(url)).text()).split('<UploadId>').length - 1
  }
})

function open(options: Partial<S3Options> = {}): ArtifactStore {
  return openStore(parseLocation(`s3://${server.bucket}/${prefix}`), {
    s3: { ...DEFAULT_S3_OPTIONS, endpoint: proxy.endpoint, ...options },
  })
}

/** A store that does not wait for the silent as long as it usually would. */
function impatient(): ArtifactStore {
  return open({ silenceMaxMs: 300 })
}

function firstOf(method: string, fault: Fault, part = ''): StrictProxy['fault'] {
  let isOver = false
  return (request) => {
    if (isOver || request.method !== method || !request.url.includes(part)) return undefined
    if (method === 'GET' && !isDownload(request)) return undefined
    isOver = true
    return fault
  }
}

function isDownload({ method, url }: Pick<SignedRequest, 'method' | 'url'>): boolean {
  return method === 'GET' && !url.includes('list-type')
}

async function* chunks(content: Buffer) {
  for (let start = 0; start < content.length; start += 65_536) {
    yield content.subarray(start, start + 65_536)
  }
}
