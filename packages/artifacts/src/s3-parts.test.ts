import { randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { S3_CREDENTIALS, type S3Server, startS3Server } from '../test/s3-servers.ts'
import { type StrictProxy, startStrictProxy } from '../test/strict-s3-proxy.ts'
import { parseArtifactPath as at } from './artifact-path.ts'
import {
  type ArtifactStore,
  type DirectAccess,
  openStore,
  type UploadedPart,
} from './artifact-store.ts'
import { parseLocation } from './location.ts'
import { DEFAULT_S3_OPTIONS } from './s3-options.ts'

Object.assign(process.env, S3_CREDENTIALS)

const PART = 5 * 1024 * 1024
const file = at('big')

let server: S3Server
let proxy: StrictProxy
let store: ArtifactStore
let direct: DirectAccess
beforeAll(async () => {
  server = await startS3Server('plane')
  proxy = await startStrictProxy(server.endpoint)
})
afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})
beforeEach(() => {
  const s3 = { ...DEFAULT_S3_OPTIONS, endpoint: proxy.endpoint }
  store = openStore(parseLocation(`s3://${server.bucket}/${randomUUID()}`), { s3 })
  if (!store.direct) throw new Error('S3 has direct access')
  direct = store.direct
})

test.each<[string, number[]]>([
  ['a single part', [10]],
  ['a single part without bytes', [0]],
  ['a single full part', [PART]],
  ['full parts only', [PART, PART]],
  ['a last part of one byte', [PART, 1]],
])('%s makes the whole file', async (_what, sizes) => {
  const parts = sizes.map((size, index) => Buffer.alloc(size, index + 1))
  const { uploadId, urls } = await direct.createParts(file, parts.length)
  const uploaded = await Promise.all(urls.map((url, index) => put(url, index + 1, parts[index])))

  await direct.completeParts(file, uploadId, uploaded)

  expect(Buffer.concat(parts).equals(await stored())).toBe(true)
})

test('a part that is sent twice is the one that was sent last', async () => {
  const { uploadId, urls } = await direct.createParts(file, 1)
  const [url = ''] = urls
  const first = await put(url, 1, Buffer.from('first'))
  const second = await put(url, 1, Buffer.from('second'))
  expect(first.etag).not.toBe(second.etag)

  await direct.completeParts(file, uploadId, [second])

  expect(String(await stored())).toBe('second')
})

test('of two uploads to one path the one that is completed last stays, and the first whole', async () => {
  const [one, two] = [await direct.createParts(file, 1), await direct.createParts(file, 1)]
  const ofOne = await put(one.urls[0] ?? '', 1, Buffer.from('one'))
  const ofTwo = await put(two.urls[0] ?? '', 1, Buffer.from('two'))

  await direct.completeParts(file, two.uploadId, [ofTwo])
  expect(String(await stored())).toBe('two')
  await direct.completeParts(file, one.uploadId, [ofOne])
  expect(String(await stored())).toBe('one')
})

const WRONG_ETAG = '"00000000000000000000000000000000"'

test.each<[string, (part: UploadedPart) => UploadedPart[]]>([
  ['a part with another ETag', ({ number }) => [{ number, etag: WRONG_ETAG }]],
  ['a part that was never sent', (part) => [part, { number: 2, etag: part.etag }]],
  ['no parts', () => []],
])('%s completes nothing, and the upload can still be completed', async (_what, wrong) => {
  const { uploadId, urls } = await direct.createParts(file, 2)
  const part = await put(urls[0] ?? '', 1, Buffer.from('abc'))

  await expect(direct.completeParts(file, uploadId, wrong(part))).rejects.toMatchObject({
    code: 'INVALID_PARAMETER_VALUE',
  })
  expect(await store.list(at(''))).toEqual([])
  await direct.completeParts(file, uploadId, [part])
  expect(String(await stored())).toBe('abc')
})

test('an upload that was given up takes no part and is not completed', async () => {
  const { uploadId, urls } = await direct.createParts(file, 2)
  const part = await put(urls[0] ?? '', 1, Buffer.from('abc'))
  await direct.abortParts(file, uploadId)

  const late = await fetch(urls[1] ?? '', { method: 'PUT', body: 'late' })
  expect(late.status).toBe(404)
  await expect(direct.completeParts(file, uploadId, [part])).rejects.toMatchObject({
    code: 'RESOURCE_DOES_NOT_EXIST',
  })
  expect(await store.list(at(''))).toEqual([])
})

test('an id that no upload has is unknown', async () => {
  const part = { number: 1, etag: WRONG_ETAG }
  await expect(direct.completeParts(file, 'no-such-upload', [part])).rejects.toMatchObject({
    code: 'RESOURCE_DOES_NOT_EXIST',
  })
})

async function put(url: string, number: number, bytes = Buffer.alloc(0)): Promise<UploadedPart> {
  const answer = await fetch(url, { method: 'PUT', body: new Uint8Array(bytes) })
  expect(answer.status).toBe(200)
  return { number, etag: answer.headers.get('etag') ?? '' }
}

async function stored(): Promise<Buffer> {
  return await buffer((await store.open(file)).body)
}
