import { randomUUID } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { S3_CREDENTIALS, type S3Server, s3ServerNames, startS3Server } from '../test/s3-servers.ts'
import { type StrictProxy, startStrictProxy } from '../test/strict-s3-proxy.ts'
import { parseArtifactPath as at } from './artifact-path.ts'
import { type ArtifactStore, type DirectAccess, openStore } from './artifact-store.ts'
import { parseLocation } from './location.ts'
import { DEFAULT_S3_OPTIONS, type S3Options } from './s3-options.ts'

Object.assign(process.env, S3_CREDENTIALS)

const MIB = 1024 * 1024

let server: S3Server
let proxy: StrictProxy
let prefix: string
beforeAll(async () => {
  const [name = 's3rver'] = s3ServerNames()
  server = await startS3Server(name)
  proxy = await startStrictProxy(server.endpoint)
})
afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})
beforeEach(() => {
  prefix = randomUUID()
})

test('a link downloads one file, whole or in part, under its name', async () => {
  const { store, direct } = open()
  await store.write(at('dir/größe %1+2.txt'), bytes('0123456789'))

  const link = await direct.presignDownload(at('dir/größe %1+2.txt'), 60)

  expect(link).toMatchObject({ headers: {}, sizeBytes: 10 })
  const whole = await fetch(link.url)
  expect(await whole.text()).toBe('0123456789')
  expect(whole.headers.get('content-disposition')).toMatch(/^attachment; .*gr%C3%B6%C3%9Fe/)
  const part = await fetch(link.url, { headers: { range: 'bytes=2-3' } })
  expect([part.status, await part.text()]).toEqual([206, '23'])
})

test('a link is good for nothing else', async () => {
  const { store, direct } = open()
  for (const name of ['mine', 'other']) await store.write(at(name), bytes(name))
  const { url } = await direct.presignDownload(at('mine'), 60)
  const signature = new URL(url).searchParams.get('X-Amz-Signature') ?? ''

  const attempts = [
    fetch(url.replace('/mine?', '/other?')),
    fetch(url, { method: 'DELETE' }),
    fetch(url, { method: 'PUT', body: 'x' }),
    fetch(url.replace('X-Amz-Expires=60', 'X-Amz-Expires=6000')),
    fetch(url.replace('attachment', 'inline')),
    fetch(
      url.replace(
        signature,
        signature.replace(/^./, (c) => (c === '0' ? '1' : '0')),
      ),
    ),
  ]

  expect((await Promise.all(attempts)).map(({ status }) => status)).toEqual(Array(6).fill(403))
  expect(await text((await store.open(at('mine'))).body)).toBe('mine')
})

test('a link to what is missing, or to a directory, is not made', async () => {
  const { store, direct } = open()
  await store.write(at('dir/x'), bytes('x'))

  for (const path of ['no', 'dir']) {
    await expect(direct.presignDownload(at(path), 60)).rejects.toMatchObject({
      code: 'RESOURCE_DOES_NOT_EXIST',
    })
  }
})

test('a link uploads one file with exactly the headers that it names', async () => {
  const { store, direct } = open({
    uploadArgs: {
      ServerSideEncryption: 'AES256',
      StorageClass: 'STANDARD_IA',
      Metadata: { team: 'blue' },
      BucketKeyEnabled: true,
    },
  })

  const { url, headers } = await direct.presignUpload(at('a b/up.json'), 60)

  expect(headers).toEqual({
    'Content-Type': 'application/json',
    'x-amz-server-side-encryption': 'AES256',
    'x-amz-server-side-encryption-bucket-key-enabled': 'true',
    'x-amz-storage-class': 'STANDARD_IA',
    'x-amz-meta-team': 'blue',
  })
  const put = (sent: Record<string, string>) =>
    fetch(url, { method: 'PUT', body: '{}', headers: sent })
  const statuses = [
    (await put({ ...headers, 'Content-Type': 'text/html' })).status,
    (await put({ ...headers, 'x-amz-acl': 'public-read' })).status,
    (await put({ 'Content-Type': 'application/json' })).status,
    (await put(headers)).status,
  ]
  expect(statuses).toEqual([403, 403, 403, 200])
  expect(await text((await store.open(at('a b/up.json'))).body)).toBe('{}')
})

test('an upload in parts is whole once it is completed', async () => {
  const { store, direct } = open()
  const parts = [Buffer.alloc(5 * MIB, 'a'), Buffer.from('end')]

  const { uploadId, urls } = await direct.createParts(at('big'), 2)
  const uploaded = await Promise.all(
    urls.map(async (url, index) => {
      const body = new Uint8Array(parts[index] ?? [])
      const answer = await fetch(url, { method: 'PUT', body })
      return { number: index + 1, etag: answer.headers.get('etag') ?? '' }
    }),
  )
  expect(await store.list(at(''))).toEqual([])
  await direct.completeParts(at('big'), uploadId, uploaded.reverse())

  const stored = await text((await store.open(at('big'))).body)
  expect(stored === Buffer.concat(parts).toString()).toBe(true)
})

test('an upload in parts that was given up is unknown', async () => {
  const { direct } = open()
  const { uploadId } = await direct.createParts(at('big'), 1)
  await direct.abortParts(at('big'), uploadId)

  await expect(direct.abortParts(at('big'), uploadId)).rejects.toMatchObject({
    code: 'RESOURCE_DOES_NOT_EXIST',
  })
})

test.each([0, -1, 1.5, 10_001, Number.NaN])('an upload in %d parts is refused', async (count) => {
  await expect(open().direct.createParts(at('big'), count)).rejects.toMatchObject({
    code: 'INVALID_PARAMETER_VALUE',
  })
})

function open(options: Partial<S3Options> = {}): { store: ArtifactStore; direct: DirectAccess } {
  const store = openStore(parseLocation(`s3://${server.bucket}/${prefix}`), {
    s3: { ...DEFAULT_S3_OPTIONS, endpoint: proxy.endpoint, ...options },
  })
  if (!store.direct) throw new Error('S3 has direct access')
  return { store, direct: store.direct }
}

async function* bytes(content: string) {
  yield Buffer.from(content)
}
