import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createBucket } from '../src/s3/bucket-store.ts'
import { headObject } from '../src/s3/object-entry.ts'
import { putObject, readObjectBytes } from '../src/s3/objects.ts'
import { codeOf, sendRaw } from './s3-raw-client.ts'
import { type S3Server, startS3Server } from './s3-server.ts'

let server: S3Server

beforeAll(async () => {
  server = await startS3Server()
  createBucket(server.store, 'data')
})

afterAll(() => server[Symbol.asyncDispose]())

const send = (method: string, path: string, body?: string | Buffer, headers = {}) =>
  sendRaw(server.url, { method, path, headers, ...(body !== undefined && { body }) })
const put = (key: string, body: string) =>
  putObject(server.store, {
    bucket: 'data',
    key,
    body: (async function* () {
      yield Buffer.from(body)
    })(),
  })
const read = async (key: string) =>
  (await readObjectBytes(server.store, { bucket: 'data', key, sizeMaxBytes: 1e9 })).toString()

describe('answers', () => {
  test('a refusal is XML with code, message, what it is about and the ids of the request', async () => {
    const { status, headers, body } = await send('GET', '/data/no%20such')

    expect(status).toBe(404)
    expect(headers['content-type']).toBe('application/xml')
    expect(body).toBe(
      `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>no such</Key><Resource>/data/no%20such</Resource><RequestId>${headers['x-amz-request-id']}</RequestId><HostId>${headers['x-amz-id-2']}</HostId></Error>`,
    )
  })

  test('HEAD has the status and no body', async () => {
    expect(await send('HEAD', '/data/absent')).toMatchObject({ status: 404, body: '' })
  })

  test('an object comes back with its headers, conditions and dates', async () => {
    await send('PUT', '/data/page', 'text', {
      'content-type': 'text/html; charset="x"',
      'content-encoding': 'gzip,aws-chunked',
      'cache-control': 'no-store',
      'x-amz-meta-a': '1',
    })

    const { headers } = await send('GET', '/data/page')
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset="x"',
      'content-encoding': 'gzip',
      'cache-control': 'no-store',
      'x-amz-meta-a': '1',
      'content-length': '4',
      etag: `"${createHash('md5').update('text').digest('hex')}"`,
    })
    const since = { 'if-modified-since': headers['last-modified'] }
    expect(await send('GET', '/data/page', undefined, since)).toMatchObject({
      status: 304,
      body: '',
      headers: { etag: headers['etag'] },
    })
    const unmodified = { 'if-unmodified-since': 'Mon, 01 Jan 2001 00:00:00 GMT' }
    expect(codeOf(await send('GET', '/data/page', undefined, unmodified))).toBe(
      '412 PreconditionFailed',
    )
  })

  test('a body without content type, and one of any, is an object', async () => {
    expect((await send('PUT', '/data/plain', 'x', { 'content-type': 'not a type' })).status).toBe(
      200,
    )
    expect((await send('PUT', '/data/plain', 'x', { 'content-type': '' })).status).toBe(200)
    const json = { 'content-type': 'application/json' }
    expect((await send('PUT', '/data/plain', '{broken', json)).status).toBe(200)
    expect(await read('plain')).toBe('{broken')
  })

  test('Expect: 100-continue is answered before the body is sent', async () => {
    const headers = { expect: '100-continue', 'content-length': 4 }

    expect(await send('PUT', '/data/continued', 'text', headers)).toMatchObject({
      status: 200,
      wasContinued: true,
    })
  })

  test('operations that are not served are refused by name', async () => {
    expect((await send('GET', '/data?analytics')).body).toContain(
      'GET ?analytics is not implemented',
    )
    expect(codeOf(await send('POST', '/data/k?select&select-type=2', '<x/>'))).toBe(
      '501 NotImplemented',
    )
    const customerKey = { 'x-amz-server-side-encryption-customer-algorithm': 'AES256' }
    expect(codeOf(await send('PUT', '/data/k', 'x', customerKey))).toBe('501 NotImplemented')
  })

  test('a listing with encoding-type has keys that XML could not hold', async () => {
    createBucket(server.store, 'encoded')
    await send('PUT', '/encoded/%01%0a%20%2B%26%C3%BC/x', 'x')

    const { body } = await send('GET', '/encoded?list-type=2&encoding-type=url')
    expect(body).toContain('<Key>%01%0A%20%2B%26%C3%BC/x</Key>')
    expect((await send('GET', '/encoded?list-type=2')).body).toContain(
      '<Key>&#x1;\n +&amp;ü/x</Key>',
    )
  })
})

describe('bodies', () => {
  const trailed = (crc: string) => `4\r\ntext\r\n0\r\nx-amz-checksum-crc32:${crc}\r\n\r\n`
  const trailer = {
    'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    'x-amz-decoded-content-length': '4',
    'x-amz-trailer': 'x-amz-checksum-crc32',
    'content-encoding': 'aws-chunked',
  }

  test('a checksum in a trailer is verified and kept', async () => {
    expect(codeOf(await send('PUT', '/data/t', trailed('AAAAAA=='), trailer))).toBe('400 BadDigest')
    expect(codeOf(await send('PUT', '/data/t', '4\r\ntext\r\n0\r\n\r\n', trailer))).toBe(
      '400 MalformedTrailerError',
    )
    expect((await send('HEAD', '/data/t')).status).toBe(404)

    const crc = 'O4unxw=='
    const right = await send('PUT', '/data/t', trailed(crc), trailer)
    const head = await send('HEAD', '/data/t', undefined, { 'x-amz-checksum-mode': 'ENABLED' })
    expect([right.status, head.headers['x-amz-checksum-crc32']]).toEqual([200, crc])
    expect(head.headers['content-encoding']).toBeUndefined()
  })

  test('a body with another SHA-256 than was said changes nothing', async () => {
    await put('hashed', 'old')
    const headers = { 'x-amz-content-sha256': createHash('sha256').update('other').digest('hex') }

    expect(codeOf(await send('PUT', '/data/hashed', 'new', headers))).toBe(
      '400 XAmzContentSHA256Mismatch',
    )
    expect(await read('hashed')).toBe('old')
  })

  test('a client that hangs up in the middle leaves nothing', async () => {
    const { hostname, port } = new URL(server.url)
    const before = await readdir(join(server.store.blobs), { recursive: true })
    const socket = connect(Number(port), hostname)
    socket.write('PUT /data/half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nhalf')
    await expect
      .poll(async () => (await readdir(server.store.blobs, { recursive: true })).length)
      .toBe(before.length + 1)
    socket.destroy()

    await expect
      .poll(async () => (await readdir(server.store.blobs, { recursive: true })).length)
      .toBe(before.length)
    expect((await send('HEAD', '/data/half')).status).toBe(404)
  })

  test('too much is refused before it is read, and no length at all', async () => {
    const headers = { 'content-length': 6 * 1024 ** 3 }

    expect(codeOf(await send('PUT', '/data/huge', undefined, headers))).toBe('400 EntityTooLarge')
    const chunked = { 'transfer-encoding': 'chunked' }
    expect(codeOf(await send('PUT', '/data/unknown', 'x', chunked))).toBe(
      '411 MissingContentLength',
    )
    const much = { 'x-amz-meta-a': 'x'.repeat(2100) }
    expect(codeOf(await send('PUT', '/data/k', 'x', much))).toBe('400 MetadataTooLarge')
  })
})

describe('browsers', () => {
  const host = '127.0.0.1:5055'

  test.each([
    ['another site', { host, origin: 'https://evil.example' }],
    ['a sandboxed page', { host, origin: 'null' }],
    ['a page on another port', { host, origin: 'http://127.0.0.1:5000' }],
    ['an image of another site', { host, 'sec-fetch-site': 'cross-site' }],
    ['a name that points here', { host: 'evil.example', origin: 'http://evil.example' }],
    ['a name that looks like an address', { host: '127.0.0.1.evil.example' }],
    ['a name that looks like ours', { host: 'localhost.evil.example:80' }],
    ['a name that looks like Amazon', { host: 's3.amazonaws.com.evil.example' }],
    ['what is no name', { host: '127.0.0.1:5000@evil.example' }],
  ])('nothing is done for %s', async (_name, headers) => {
    await put('precious', 'x')
    const body = '<Delete><Object><Key>precious</Key></Object></Delete>'

    expect(codeOf(await send('POST', '/data?delete', body, headers))).toBe('403 AccessDenied')
    expect(await read('precious')).toBe('x')
  })

  test.each([
    [{ host: 'localhost:80' }],
    [{ host: '[::1]:5055' }],
    [{ host: '10.0.0.7' }],
    [{ host: 'host.docker.internal:5055' }],
    [{ host, origin: `http://${host}` }],
    [{ host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }],
  ])('clients of this machine are answered: %j', async (headers) => {
    expect((await send('HEAD', '/data', undefined, headers)).status).toBe(200)
  })

  test('an object that is a page cannot act, and no header can be slipped in', async () => {
    await send('PUT', '/data/page', '<script>', { 'content-type': 'text/html' })

    const injected = '/data/page?response-content-type=text/html%0d%0aset-cookie:%20a=b'
    const { status, headers } = await send('GET', injected)
    expect(status).toBe(200)
    expect(headers).toMatchObject({
      'content-type': 'text/html',
      'content-security-policy': 'sandbox',
      'x-content-type-options': 'nosniff',
    })
    expect(headers['set-cookie']).toBeUndefined()
  })
})

describe('XML bombs', () => {
  const laughs = `<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "ha">${Array.from(
    { length: 9 },
    (_, n) => `<!ENTITY ${'bcdefghij'[n]} "${`&${'abcdefghi'[n]};`.repeat(10)}">`,
  ).join('')}]><Delete><Object><Key>&j;</Key></Object></Delete>`

  test.each([
    ['entities of entities', laughs],
    ['a file of this machine', '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete/>'],
    ['elements in elements', `<Delete>${'<a>'.repeat(500_000)}`],
    ['nine megabytes', `<Delete>${' '.repeat(9 * 1024 ** 2)}</Delete>`],
    ['no end', '<Delete><Object><Key>a</Key>'],
    ['another document', '<Tagging/>'],
    ['a thousand and one keys', `<Delete>${'<Object><Key>a</Key></Object>'.repeat(1001)}</Delete>`],
  ])('%s is refused at once', async (_name, body) => {
    const startedMs = performance.now()

    expect(codeOf(await send('POST', '/data?delete', body))).toBe('400 MalformedXML')
    expect(performance.now() - startedMs).toBeLessThan(15_000)
  })

  test('keys with entities are the keys that they stand for', async () => {
    await put('<&>"\'ü', 'x')
    await put('&lt;\u{1F600}', 'x')
    const body =
      '<Delete><Object><Key>&lt;&amp;&gt;&quot;&apos;&#252;</Key></Object><Object><Key><![CDATA[&lt;]]>&#x1F600;</Key></Object></Delete>'

    expect((await send('POST', '/data?delete', body)).status).toBe(200)
    for (const key of ['<&>"\'ü', '&lt;\u{1F600}']) {
      expect(() => headObject(server.store, 'data', key)).toThrow('does not exist')
    }
  })
})

describe('paths', () => {
  test.each([
    ['/data/..%2f..%2f..%2fetc/passwd', '../../../etc/passwd'],
    ['/data/../../etc/passwd', '../../etc/passwd'],
    ['/data/%2e%2e/index.db', '../index.db'],
    ['/data//etc/passwd', '/etc/passwd'],
    ['/data/a%00b', 'a\0b'],
    ['/data/C:%5Cwindows', 'C:\\windows'],
  ])('%s is the key %j and nothing else', async (path, key) => {
    expect((await send('PUT', path, 'planted')).status).toBe(200)

    expect(await read(key)).toBe('planted')
    expect((await readdir(server.directory)).toSorted()).toEqual(['store'])
  })

  test.each([
    ['/..%2f..%2fetc/x', '404 NoSuchBucket'],
    ['/%2e%2e/x', '404 NoSuchBucket'],
    ['/data/%ff', '400 InvalidURI'],
    ['/data/%zz', '400 InvalidURI'],
    [`/data/${'a'.repeat(1025)}`, '400 KeyTooLongError'],
  ])('%s is refused', async (path, code) => {
    expect(codeOf(await send('GET', path))).toBe(code)
  })

  test.each(['..', 'Upper-case', 'a', '192.168.0.1', 'under_score', 'two..dots', 'x'.repeat(64)])(
    '%s is no bucket',
    async (name) => {
      expect(codeOf(await send('PUT', `/${name}`))).toBe('400 InvalidBucketName')
    },
  )
})

describe('multipart uploads', () => {
  const start = async (key: string) => {
    const { body } = await send('POST', `/data/${key}?uploads`)
    return /<UploadId>([^<]+)/.exec(body)?.[1] ?? ''
  }
  const part = async (key: string, id: string, number: number, body: string) => {
    const { headers } = await send('PUT', `/data/${key}?partNumber=${number}&uploadId=${id}`, body)
    return { number, etag: String(headers['etag']) }
  }
  const complete = (key: string, id: string, parts: { number: number; etag: string }[]) =>
    send(
      'POST',
      `/data/${key}?uploadId=${id}`,
      `<CompleteMultipartUpload>${parts.map(({ number, etag }) => `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag></Part>`).join('')}</CompleteMultipartUpload>`,
    )

  test('what cannot be put together is refused, and can be mended', async () => {
    const id = await start('m')
    const one = await part('m', id, 1, 'small')
    const two = await part('m', id, 2, 'last')

    expect(codeOf(await complete('m', id, [one, two]))).toBe('400 EntityTooSmall')
    expect(codeOf(await complete('m', id, [two, one]))).toBe('400 InvalidPartOrder')
    expect(codeOf(await complete('m', id, [{ ...one, etag: two.etag }]))).toBe('400 InvalidPart')
    expect(codeOf(await complete('m', id, []))).toBe('400 MalformedXML')
    expect(codeOf(await complete('other', id, [one]))).toBe('404 NoSuchUpload')
    expect((await send('HEAD', '/data/m')).status).toBe(404)

    expect((await complete('m', id, [two])).status).toBe(200)
    expect(await read('m')).toBe('last')
    expect((await complete('m', id, [two])).status).toBe(200)
    expect(codeOf(await send('DELETE', `/data/m?uploadId=${id}`))).toBe('404 NoSuchUpload')
  })

  test('uploads and their parts are listed page by page', async () => {
    const ids = [await start('list/a'), await start('list/b/1'), await start('list/b/2')]
    for (const number of [1, 2, 10]) await part('list/a', ids[0] ?? '', number, `${number}`)

    const parts = await send(
      'GET',
      `/data/list/a?uploadId=${ids[0]}&part-number-marker=1&max-parts=1`,
    )
    expect(parts.body).toMatch(/<NextPartNumberMarker>2<.*<IsTruncated>true<.*<PartNumber>2</)
    const page = await send('GET', '/data?uploads&prefix=list/&delimiter=/&max-uploads=1')
    expect(page.body).toMatch(/<NextKeyMarker>list\/a<.*<IsTruncated>true</)
    const next = await send('GET', '/data?uploads&prefix=list/&delimiter=/&key-marker=list/a')
    expect(next.body).toMatch(/<IsTruncated>false<.*<CommonPrefixes><Prefix>list\/b\/</)
    for (const [index, key] of ['list/a', 'list/b/1', 'list/b/2'].entries()) {
      expect((await send('DELETE', `/data/${key}?uploadId=${ids[index]}`)).status).toBe(204)
    }
  })
})

test('a process killed while it writes leaves the old object or the new one', async () => {
  const script = `
    import { openObjectStore } from ${JSON.stringify(join(import.meta.dirname, '../src/s3/object-store.ts'))}
    import { putObject } from ${JSON.stringify(join(import.meta.dirname, '../src/s3/objects.ts'))}
    const store = openObjectStore(${JSON.stringify(server.store.directory)})
    for (let n = 0; ; n++) {
      const body = Buffer.alloc(200_000, String(n % 10))
      await putObject(store, { bucket: 'data', key: 'killed', body: [body] })
      if (n === 3) process.stdout.write('going')
    }`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')

  const body = await read('killed')
  expect(createHash('md5').update(body).digest('hex')).toBe(
    headObject(server.store, 'data', 'killed').etag,
  )
  expect(body).toBe((body[0] ?? '').repeat(200_000))
  await put('killed', 'after')
  expect(await read('killed')).toBe('after')
})
