import { randomUUID } from 'node:crypto'
import { buffer, text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { describeArtifactStore } from '../test/artifact-store-behaviour.ts'
import { S3_CREDENTIALS, type S3Server, s3ServerNames, startS3Server } from '../test/s3-servers.ts'
import { signedRegion } from '../test/sigv4-check.ts'
import { type StrictProxy, startStrictProxy } from '../test/strict-s3-proxy.ts'
import { parseArtifactPath as at, formatArtifactPath } from './artifact-path.ts'
import { openStore } from './artifact-store.ts'
import { parseLocation } from './location.ts'
import { DEFAULT_S3_OPTIONS, type S3Options } from './s3-options.ts'

Object.assign(process.env, S3_CREDENTIALS)

describe.each(s3ServerNames())('on %s behind a strict proxy', (name) => {
  let server: S3Server
  let proxy: StrictProxy
  beforeAll(async () => {
    server = await startS3Server(name)
    proxy = await startStrictProxy(server.endpoint)
  })
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })
  beforeEach(() => {
    proxy.seen.length = 0
    proxy.fault = () => undefined
  })

  const open = (prefix: string, options: Partial<S3Options> = {}) =>
    openStore(parseLocation(`s3://${server.bucket}/${prefix}`), {
      s3: { ...DEFAULT_S3_OPTIONS, endpoint: proxy.endpoint, ...options },
    })
  const isMoto = name === 'moto'
  describeArtifactStore('the S3 store', async () => open(`tests/${randomUUID()}`), {
    replacesAtomically: isMoto,
    knowsFirstByte: isMoto,
    streamedMib: 128,
  })

  // Moto takes half a minute to be given so many.
  if (!isMoto)
    test('lists and deletes more than the 1,000 keys of a page', async () => {
      const prefix = `many/${randomUUID()}`
      const store = open(prefix)
      const names = Array.from({ length: 1_050 }, (_, index) => `f ${String(index + 1000)}`)
      await eachOf(names, (name) =>
        fetch(`${server.endpoint}/${server.bucket}/${prefix}/d/${name}`, { method: 'PUT' }),
      )
      await store.write(at('keep'), bytes('x'))

      const listed = await store.list(at('d'))
      await store.delete(at('d'))

      expect(listed.map(({ path }) => formatArtifactPath(path))).toEqual(names.map((n) => `d/${n}`))
      expect(await store.list(at('d'))).toEqual([])
      expect(await store.list(at(''))).toEqual([{ kind: 'file', path: ['keep'], sizeBytes: 1 }])
    })

  test('deletes a file and a directory of the same name, and not what only begins like it', async () => {
    const store = open(`same/${randomUUID()}`)
    for (const path of ['a', 'a/b', 'a.txt', 'ab/c']) await store.write(at(path), bytes(path))

    expect((await store.list(at(''))).map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      expect.stringMatching(/^(file|directory) a$/),
      expect.stringMatching(/^(file|directory) a$/),
      'file a.txt',
      'directory ab',
    ])
    await store.delete(at('a'))

    expect((await store.list(at(''))).map(({ path }) => path.join('/'))).toEqual(['a.txt', 'ab'])
  })

  test('keeps to its prefix of the bucket', async () => {
    const prefix = randomUUID()
    const outside = open('')
    await outside.write(at(`${prefix}2/x`), bytes('x'))
    const store = open(prefix)
    await store.write(at('y'), bytes('y'))

    expect((await store.list(at(''))).map(({ path }) => path.join('/'))).toEqual(['y'])
    await store.delete(at(''))

    expect(await text((await outside.open(at(`${prefix}2/x`))).body)).toBe('x')
  })

  test('refuses a path that makes a longer key than S3 takes', async () => {
    const path = at(Array.from({ length: 5 }, () => 'x'.repeat(220)).join('/'))

    await expect(open('p').write(path, bytes('x'))).rejects.toMatchObject({
      code: 'INVALID_PARAMETER_VALUE',
    })
  })

  test('gives new objects their type, their arguments and the SHA-256 of small ones', async () => {
    const store = open(randomUUID(), {
      expectedBucketOwner: '123456789012',
      uploadArgs: {
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: 'key-1',
        ACL: 'bucket-owner-full-control',
        Metadata: { team: 'blue' },
      },
    })

    await store.write(at('a.json'), bytes('{}'))
    await store.write(at('big'), zeros(9))

    const made = proxy.seen.filter(
      ({ method, url }) =>
        (method === 'PUT' && !url.includes('partNumber')) || url.includes('?uploads'),
    )
    expect(made.map(({ headers }) => headers)).toEqual([
      expect.objectContaining({
        'content-type': 'application/json',
        'x-amz-meta-sha256': '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
      }),
      expect.objectContaining({ 'content-type': 'application/octet-stream' }),
    ])
    for (const { headers } of made) {
      expect(headers).toMatchObject({
        'x-amz-server-side-encryption': 'aws:kms',
        'x-amz-server-side-encryption-aws-kms-key-id': 'key-1',
        'x-amz-acl': 'bucket-owner-full-control',
        'x-amz-meta-team': 'blue',
      })
    }
    const owners = proxy.seen.map(({ headers }) => headers['x-amz-expected-bucket-owner'])
    expect(new Set(owners)).toEqual(new Set(['123456789012']))
  })

  test('signs for the region that the bucket is in', async () => {
    proxy.fault = ({ method, url }) =>
      method === 'HEAD' && /^\/[^/]+\/?$/.test(url)
        ? { status: 301, code: '', headers: { 'x-amz-bucket-region': 'eu-west-3' } }
        : undefined
    const store = open(randomUUID(), { region: 'us-east-1' })

    await store.write(at('a'), bytes('a'))
    await store.list(at(''))

    expect(proxy.seen.map(signedRegion)).toEqual(['us-east-1', 'eu-west-3', 'eu-west-3'])
  })

  test('sends parts of one size when it is told the length of a body', async () => {
    const store = open(randomUUID())

    const written = await store.write(at('big'), zeros(17), { sizeBytes: 17 * 1024 * 1024 })

    const sizes = proxy.seen.filter(({ url }) => url.includes('partNumber')).map((r) => r.bodyBytes)
    expect(sizes).toEqual([8 * 1024 * 1024, 8 * 1024 * 1024, 1024 * 1024])
    expect(written.sizeBytes).toBe(17 * 1024 * 1024)
    expect((await buffer((await store.open(at('big'))).body)).length).toBe(17 * 1024 * 1024)
  })
})

async function* bytes(content: string) {
  yield Buffer.from(content)
}

async function* zeros(mib: number) {
  for (let index = 0; index < mib; index++) yield Buffer.alloc(1024 * 1024)
}

async function eachOf(names: string[], run: (name: string) => Promise<unknown>) {
  const left = names.values()
  const worker = async () => {
    for (const name of left) await run(name)
  }
  await Promise.all(Array.from({ length: 16 }, worker))
}
