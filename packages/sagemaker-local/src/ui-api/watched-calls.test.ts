import { expect, test } from 'vitest'
import { AwsError } from '../http/aws-error.ts'
import type { OperationContext, RestOperation, RestRequest } from '../operations/operation.ts'
import { WatchedCalls } from './watched-calls.ts'

const LONG_AGO_MS = 0
const request = (name: string): RestRequest => ({
  params: { EndpointName: name },
  query: new URLSearchParams(),
  headers: {},
  body: Buffer.alloc(0),
  signal: AbortSignal.abort(),
})
// The operations below do not look at it.
const context = {} as OperationContext

const operation = (fails: boolean): RestOperation => ({
  name: 'InvokeEndpoint',
  method: 'POST',
  path: '/',
  bodyBytesMax: 1,
  async run() {
    if (fails) throw new AwsError('ModelError', 'no', { status: 424 })
    return { status: 200, headers: {}, body: '' }
  },
})

test('calls are counted by their endpoints, those that failed apart, and refused as before', async () => {
  const calls = new WatchedCalls()
  await calls.watch(operation(false)).run(context, request('a'))
  await expect(calls.watch(operation(true)).run(context, request('a'))).rejects.toThrow('no')
  await calls.watch(operation(false)).run(context, request('b'))

  const summary = calls.summaryOf('a', LONG_AGO_MS)
  expect(summary).toMatchObject({ count: 2, errors: 1 })
  expect(summary.recent.map(({ status }) => status)).toEqual([200, 424])
  expect(summary.p99Ms).toBeGreaterThanOrEqual(0)
  expect(calls.summaryOf('none', LONG_AGO_MS)).toMatchObject({ count: 0, errors: 0, recent: [] })
})

test('an endpoint that was made again has no calls of the one before', async () => {
  const calls = new WatchedCalls()
  await calls.watch(operation(false)).run(context, request('a'))

  expect(calls.summaryOf('a', Date.now() + 1).count).toBe(0)
})
