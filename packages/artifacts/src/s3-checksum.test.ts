import { createHash, randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { S3_CREDENTIALS, type S3Server, startS3Server } from '../test/s3-servers.ts'
import { type Fault, type StrictProxy, startStrictProxy } from '../test/strict-s3-proxy.ts'
import { parseArtifactPath as at } from './artifact-path.ts'
import { openStore } from './artifact-store.ts'
import { parseLocation } from './location.ts'
import { DEFAULT_S3_OPTIONS } from './s3-options.ts'

Object.assign(process.env, S3_CREDENTIALS)

const MIB = 1024 * 1024
const LARGE = Buffer.alloc(17 * MIB + 1, 'seventeen mebibytes and one byte')
const damaged = { code: 'INVALID_STATE', message: expect.stringContaining('is damaged') }

let server: S3Server
let proxy: StrictProxy
let prefix: string
beforeAll(async () => {
  server = await startS3Server('plane')
  proxy = await startStrictProxy(server.endpoint)
})
afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})
beforeEach(() => {
  proxy.fault = () => undefined
  proxy.seen.length = 0
  prefix = randomUUID()
})

const open = () =>
  openStore(parseLocation(`s3://${server.bucket}/${prefix}`), {
    s3: { ...DEFAULT_S3_OPTIONS, endpoint: proxy.endpoint },
  })

const downloadsBecome = (fault: Fault) => {
  proxy.fault = ({ method, url }) =>
    method === 'GET' && !url.includes('list-type') ? fault : undefined
}

test.each([
  ['of a known length', LARGE.length],
  ['of an unknown length', undefined],
])('S3 keeps the SHA-256 of a large file %s, made of those of its parts', async (_how, length) => {
  const options = length === undefined ? {} : { sizeBytes: length }
  await open().write(at('large'), chunks(LARGE), options)

  const client = new S3Client({ endpoint: server.endpoint, forcePathStyle: true })
  const head = await client.send(
    new HeadObjectCommand({
      Bucket: server.bucket,
      Key: `${prefix}/large`,
      ChecksumMode: 'ENABLED',
    }),
  )
  client.destroy()

  const parts = [0, 8 * MIB, 16 * MIB].map((start) =>
    createHash('sha256')
      .update(LARGE.subarray(start, start + 8 * MIB))
      .digest(),
  )
  const composite = createHash('sha256').update(Buffer.concat(parts)).digest('base64')
  expect(head.ChecksumSHA256).toBe(`${composite}-3`)
  expect((await buffer((await open().open(at('large'))).body)).equals(LARGE)).toBe(true)
})

test('a large file whose bytes are not those that were stored never comes whole', async () => {
  await open().write(at('large'), chunks(LARGE))
  downloadsBecome('rotten')
  const { body } = await open().open(at('large'))
  let given = 0
  const reading = (async () => {
    for await (const chunk of body as AsyncIterable<Buffer>) given += chunk.length
  })()

  await expect(reading).rejects.toMatchObject(damaged)

  expect(given).toBeLessThan(LARGE.length)
})

test('a small file whose bytes are not those that were stored is an error from the start', async () => {
  await open().write(at('small'), chunks(Buffer.from('small')))
  downloadsBecome('rotten')

  await expect(open().open(at('small'))).rejects.toMatchObject(damaged)
})

test('a damaged file can be read in part, which tells nothing of the whole', async () => {
  await open().write(at('small'), chunks(Buffer.from('small')))
  downloadsBecome('rotten')

  const { body } = await open().open(at('small'), { range: { start: 1, end: 3 } })

  expect(await buffer(body)).toHaveLength(3)
})

test('a download that breaks off and is taken up again is checked as one', async () => {
  await open().write(at('large'), chunks(LARGE))
  let cuts = 0
  proxy.fault = ({ method }) =>
    method === 'GET' && cuts++ < 1 ? { cutAfterBytes: 9 * MIB } : undefined

  expect((await buffer((await open().open(at('large'))).body)).equals(LARGE)).toBe(true)
})

test('a server without such checksums takes large files all the same', async () => {
  proxy.fault = ({ headers }) =>
    'x-amz-checksum-algorithm' in headers ? { status: 501, code: 'NotImplemented' } : undefined
  const store = open()

  await store.write(at('large'), chunks(LARGE))

  expect((await buffer((await store.open(at('large'))).body)).equals(LARGE)).toBe(true)
})

async function* chunks(content: Buffer) {
  for (let start = 0; start < content.length; start += MIB) {
    yield content.subarray(start, start + MIB)
  }
}
