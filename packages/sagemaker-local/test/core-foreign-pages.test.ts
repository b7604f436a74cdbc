import { ListBucketsCommand, S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sendRaw } from './s3-raw-client.ts'
import { startTestPlane, type TestPlane } from './start-test-plane.ts'

let running: TestPlane

beforeAll(async () => {
  running = await startTestPlane({ hasRunner: false })
})
afterAll(() => running[Symbol.asyncDispose]())

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const requests = {
  'AWS JSON': {
    method: 'POST',
    path: '/',
    headers: { 'x-amz-target': 'SageMaker.ListTrainingJobs' },
    body: '{}',
  },
  query: { method: 'POST', path: '/', headers: form, body: 'Action=GetCallerIdentity' },
  'REST-JSON': { method: 'POST', path: '/endpoints/x/invocations', headers: {}, body: '1' },
  S3: { method: 'GET', path: '/', headers: {}, body: '' },
  registry: { method: 'GET', path: '/v2/', headers: {}, body: '' },
  "the plane's own": { method: 'GET', path: '/.millrace/about', headers: {}, body: '' },
}
const pages: Record<string, Record<string, string>> = {
  'of another origin': { origin: 'https://evil.example' },
  'of no origin': { origin: 'null' },
  'whose name was pointed at this machine': { host: 'evil.example:5055' },
  'whose name only begins like ours': { host: 'localhost.evil.example' },
  'that its browser calls another site': { 'sec-fetch-site': 'cross-site' },
}

describe.each(Object.entries(requests))('without keys, %s', (_protocol, request) => {
  test.each(Object.entries(pages))('is not for a page %s', async (_page, headers) => {
    const answer = await sendRaw(running.url, {
      ...request,
      headers: { ...request.headers, ...headers },
    })
    expect(answer.status).toBe(403)
    expect(`${answer.headers['x-amzn-errortype']} ${answer.body}`).toMatch(/AccessDenied|DENIED/)
  })

  test.each([
    'localhost:5055',
    '127.0.0.1:5055',
    '[::1]:5055',
    'plane.localhost',
    'sts.us-east-1.amazonaws.com',
  ])('answers at the name %s', async (host) => {
    const answer = await sendRaw(running.url, {
      ...request,
      headers: { ...request.headers, host },
    })
    expect(answer.status).not.toBe(403)
  })
})

test('a bucket may be in the host name', async () => {
  const { port } = new URL(running.url)
  const s3 = new S3Client({ ...running.client, endpoint: `http://localhost:${port}` })
  await expect(s3.send(new ListBucketsCommand())).resolves.toMatchObject({ Buckets: [] })
  const answer = await sendRaw(running.url, { path: '/key', headers: { host: 'data.localhost' } })
  expect(answer.body).toContain('<BucketName>data</BucketName>')
})

test.each([
  ['S3', '/bucket/%zz', 'GET', '<Code>InvalidURI</Code>'],
  ['the registry', '/v2/%zz', 'GET', 'NAME_INVALID'],
  ['REST-JSON', '/endpoints/%zz/invocations', 'POST', 'UnknownOperationException'],
])('%s refuses an address that cannot be decoded itself', async (_name, path, method, code) => {
  const answer = await sendRaw(running.url, { method, path })
  expect(answer.status).toBeGreaterThanOrEqual(400)
  expect(answer.status).toBeLessThan(500)
  expect(`${answer.headers['x-amzn-errortype']} ${answer.body}`).toContain(code)
})
