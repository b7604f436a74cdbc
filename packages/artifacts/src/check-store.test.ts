import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { S3_CREDENTIALS, type S3Server, s3ServerNames, startS3Server } from '../test/s3-servers.ts'
import type { SignedRequest } from '../test/sigv4-check.ts'
import { type Fault, type StrictProxy, startStrictProxy } from '../test/strict-s3-proxy.ts'
import { parseArtifactPath } from './artifact-path.ts'
import { openStore } from './artifact-store.ts'
import { checkStore } from './check-store.ts'
import { parseLocation } from './location.ts'
import { DEFAULT_S3_OPTIONS } from './s3-options.ts'

Object.assign(process.env, S3_CREDENTIALS)

let server: S3Server
let proxy: StrictProxy
let uri: string
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
  proxy.fault = () => undefined
  uri = `s3://${server.bucket}/${randomUUID()}`
})

const check = (access: 'read' | 'write', at = uri) =>
  checkStore(parseLocation(at), { access, s3: { ...DEFAULT_S3_OPTIONS, endpoint: proxy.endpoint } })

/** Which permission a request takes, worked out from what S3's documentation says of each. */
const permissions: [permission: string, takes: (request: SignedRequest) => boolean][] = [
  ['s3:ListBucket', ({ method, url }) => method === 'GET' && url.includes('list-type')],
  ['s3:PutObject', ({ method }) => method === 'PUT'],
  ['s3:GetObject', ({ method, url }) => method === 'GET' && !url.includes('list-type')],
  ['s3:AbortMultipartUpload', ({ method, url }) => method === 'DELETE' && url.includes('uploadId')],
  ['s3:DeleteObject', ({ method, url }) => method === 'DELETE' && !url.includes('uploadId')],
]

test('a store that gives every right is left as it was', async () => {
  await check('write')

  const s3 = { ...DEFAULT_S3_OPTIONS, endpoint: server.endpoint }
  expect(await openStore(parseLocation(uri), { s3 }).list(parseArtifactPath(''))).toEqual([])
})

test.each(permissions)('a server that may not %s is told so', async (permission, takes) => {
  proxy.fault = (request) => (takes(request) ? denied : undefined)

  await expect(check('write')).rejects.toThrow(
    `S3 denies this server ${permission} on '${uri}': allow it to its role or user.`,
  )
})

test('all missing rights are named at once', async () => {
  proxy.fault = ({ method }) => (method === 'PUT' || method === 'DELETE' ? denied : undefined)

  await expect(check('write')).rejects.toThrow(
    `S3 denies this server s3:PutObject, s3:AbortMultipartUpload, s3:DeleteObject on '${uri}': ` +
      'allow them to its role or user.',
  )
})

test('where only clients write, only reading is tried', async () => {
  proxy.fault = ({ method }) => (method === 'PUT' || method === 'DELETE' ? denied : undefined)

  await expect(check('read')).resolves.toBeUndefined()
})

test('a bucket that is missing is named', async () => {
  await expect(check('write', 's3://no-such-bucket-here/x')).rejects.toThrow(
    "'s3://no-such-bucket-here/x' cannot be used: There is no bucket 'no-such-bucket-here' in S3.",
  )
})

test.each<[Fault, string]>([
  [{ status: 403, code: 'InvalidAccessKeyId' }, 'credentials: InvalidAccessKeyId'],
  [{ status: 400, code: 'ExpiredToken' }, 'credentials: ExpiredToken'],
  [{ status: 503, code: 'SlowDown' }, 'answers 503 SlowDown'],
])('%j is told with its reason', async (fault, reason) => {
  proxy.fault = () => fault

  await expect(check('write')).rejects.toThrow(reason)
})

test('a local directory is not tried', async () => {
  await expect(
    checkStore(parseLocation('/nowhere/at/all'), { access: 'write' }),
  ).resolves.toBeUndefined()
})

const denied: Fault = { status: 403, code: 'AccessDenied' }
