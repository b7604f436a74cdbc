import { randomUUID } from 'node:crypto'
import { request } from 'node:http'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { S3_CREDENTIALS, type S3Server, startS3Server } from '../../../artifacts/test/s3-servers.ts'
import { type StrictProxy, startStrictProxy } from '../../../artifacts/test/strict-s3-proxy.ts'
import { startServer } from '../../test/start-server.ts'
import type { Settings } from '../config.ts'
import { serve } from '../serve.ts'

Object.assign(process.env, S3_CREDENTIALS)

const MIB = 1024 * 1024

let s3: S3Server
let proxy: StrictProxy
let prefix: string
beforeAll(async () => {
  s3 = await startS3Server('s3rver')
  proxy = await startStrictProxy(s3.endpoint)
})
afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await s3[Symbol.asyncDispose]()
})
beforeEach(() => {
  prefix = `p-${randomUUID()}`
  proxy.fault = () => undefined
})

const headers = { host: 'localhost' }
const start = (change: Partial<Settings> = {}) =>
  startServer((config) => ({
    ...config,
    settings: {
      ...config.settings,
      s3: { ...config.settings.s3, endpoint: proxy.endpoint },
      artifactsDestination: `s3://${s3.bucket}/${prefix}`,
      ...change,
    },
  }))
type Server = Awaited<ReturnType<typeof start>>

const send = (
  server: Server,
  method: 'GET' | 'PUT' | 'POST',
  url: string,
  payload?: object | string,
) => server.http.inject({ method, url, headers, ...(payload !== undefined && { payload }) })

async function runAt(server: Server, artifact_location: string): Promise<string> {
  const name = randomUUID()
  const { experiment_id } = await server.client.experiments.create({ name, artifact_location })
  return (await server.client.runs.create({ experiment_id })).run.info.run_id
}

test.each<[string, string[], number]>([
  ['the destination and below', [], 200],
  ['elsewhere in its bucket', [], 403],
  ['a prefix that only begins like it', [], 403],
  ['a bucket that was named', ['s3://named/prefix'], 200],
  ['elsewhere in a bucket that was named in part', ['s3://named/prefix'], 403],
  ['any bucket where all may be read', ['*'], 200],
])('a server reads for a client in %s', async (where, remoteArtifactRoots, status) => {
  const locations: Record<string, string> = {
    'the destination and below': `s3://${s3.bucket}/${prefix}/below`,
    'elsewhere in its bucket': `s3://${s3.bucket}/other`,
    'a prefix that only begins like it': `s3://${s3.bucket}/${prefix}2`,
    'a bucket that was named': `s3://${s3.bucket}/named/prefix/x`,
    'elsewhere in a bucket that was named in part': `s3://${s3.bucket}/named/prefix2`,
    'any bucket where all may be read': `s3://${s3.bucket}/anything`,
  }
  const named = remoteArtifactRoots.map((uri) =>
    uri.replace('s3://named', `s3://${s3.bucket}/named`),
  )
  await using server = await start({ remoteArtifactRoots: named })
  const run_id = await runAt(server, locations[where] ?? '')
  const seenBefore = proxy.seen.length

  const answers = await Promise.all([
    send(server, 'GET', `/api/2.0/mlflow/artifacts/list?run_id=${run_id}`),
    send(server, 'POST', '/api/2.0/mlflow/artifacts/presigned-upload-url', { run_id, path: 'x' }),
  ])

  expect(answers.map(({ statusCode }) => statusCode)).toEqual([status, status])
  if (status === 403) {
    expect(answers[0]?.json().message).toContain('MILLRACE_REMOTE_ARTIFACT_ROOTS')
    expect(proxy.seen.length).toBe(seenBefore)
  }
})

const ESCAPES = ['../x', '%2e%2e/x', '%252e%252e%252fx', 'a/../../x', '..\\x', '/x', 'a\0', 'x#y']

test('a path that leads elsewhere reaches S3 by no door', async () => {
  await using server = await start()
  await send(server, 'PUT', '/api/2.0/mlflow-artifacts/artifacts/warm', 'up')
  const seenBefore = proxy.seen.length
  const api = '/api/2.0/mlflow-artifacts'

  for (const path of ESCAPES) {
    const encoded = encodeURIComponent(path)
    const answers = await Promise.all([
      send(server, 'PUT', `${api}/artifacts/${encoded}`, 'x'),
      send(server, 'GET', `${api}/artifacts/${encoded}`),
      send(server, 'GET', `${api}/artifacts?path=${encoded}`),
      send(server, 'GET', `${api}/presigned/${encoded}`),
      send(server, 'POST', `${api}/mpu/create/${encoded}`, { path: 'x', num_parts: 1 }),
      send(server, 'POST', `${api}/mpu/abort/${encoded}`, { path: 'x', upload_id: 'u' }),
    ])
    expect([path, ...answers.map(({ statusCode }) => statusCode)]).toEqual([
      path,
      ...Array(6).fill(400),
    ])
  }
  expect(proxy.seen.length).toBe(seenBefore)
})

test('an upload in parts takes the name of the local file, of any system, and nothing else', async () => {
  await using server = await start()
  const create = async (path: string) => {
    const url = '/api/2.0/mlflow-artifacts/mpu/create/1/run/artifacts/dir'
    const answer = await send(server, 'POST', url, { path, num_parts: 1 })
    const [part] = answer.statusCode === 200 ? answer.json().credentials : []
    return part
      ? new URL(part.url).pathname.replace(`/${s3.bucket}/${prefix}`, '')
      : answer.statusCode
  }

  expect(await create('/models/of/me/model.bin')).toBe('/1/run/artifacts/dir/model.bin')
  expect(await create('C:\\Users\\me\\model.bin')).toBe('/1/run/artifacts/dir/model.bin')
  for (const path of ['/models/of/me/..', '..', '/', '', 'a/%2e%2e'])
    expect(await create(path)).toBe(400)
})

test('a server says whether it gives links, and gives none when told not to', async () => {
  const flags = async (server: Server) => {
    const info = (await send(server, 'GET', '/api/3.0/mlflow/server-info')).json()
    return [info.multipart_uploads_enabled, info.multipart_downloads_enabled]
  }
  await using giving = await start()
  await using keeping = await start({ givesLinks: false })
  await using idle = await start({ servesArtifacts: false })

  expect(await flags(giving)).toEqual([true, true])
  expect(await flags(keeping)).toEqual([false, false])
  expect(await flags(idle)).toEqual([false, false])
  const run_id = await runAt(keeping, `s3://${s3.bucket}/${prefix}/x`)
  const refused = await Promise.all([
    send(keeping, 'GET', '/api/2.0/mlflow-artifacts/presigned/a'),
    send(keeping, 'POST', '/api/2.0/mlflow-artifacts/mpu/create/a', { path: 'x', num_parts: 1 }),
    send(keeping, 'POST', '/api/2.0/mlflow/artifacts/presigned-download-url', {
      run_id,
      path: 'x',
    }),
  ])
  expect(refused.map(({ statusCode }) => statusCode)).toEqual([501, 501, 501])
})

test('a store that fails is a 503 that says when to try again', async () => {
  await using server = await start()
  await send(server, 'PUT', '/api/2.0/mlflow-artifacts/artifacts/a', 'x')
  proxy.fault = () => ({ status: 503, code: 'SlowDown' })

  const answer = await send(server, 'GET', '/api/2.0/mlflow-artifacts/artifacts/a')

  expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '5'])
})

test('a server whose store refuses it does not start, and says why', async () => {
  await using server = await start()
  proxy.fault = ({ method }) =>
    method === 'PUT' ? { status: 403, code: 'AccessDenied' } : undefined

  await expect(serve(server.config)).rejects.toThrow(
    `S3 denies this server s3:PutObject on 's3://${s3.bucket}/${prefix}'`,
  )
})

test('a client that goes away in the middle of an upload leaves no parts', async () => {
  await using server = await start()
  const url = await server.http.listen({ port: 0, host: '127.0.0.1' })
  const [sent, givenUp] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  proxy.fault = ({ method, url }) => {
    if (url.includes('partNumber')) sent.resolve()
    if (method === 'DELETE' && url.includes('uploadId')) givenUp.resolve()
    return undefined
  }
  const upload = request(`${url}/api/2.0/mlflow-artifacts/artifacts/big`, {
    method: 'PUT',
    headers: { 'content-length': 20 * MIB },
  })
  upload.on('error', () => undefined)
  upload.write(Buffer.alloc(10 * MIB))
  await sent.promise

  upload.destroy()

  await givenUp.promise
  const listed = await send(server, 'GET', '/api/2.0/mlflow-artifacts/artifacts')
  expect(listed.json()).toEqual({})
})
