import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { ApiError } from '@millrace/api/errors'
import fastify from 'fastify'
import { expect, test } from 'vitest'
import { sendError } from './error-response.ts'

/** What is answered, and what the log holds, when a request ends in that error. */
async function answerTo(error: unknown, url = '/') {
  const stream = new PassThrough()
  const http = fastify({ logger: { level: 'error', stream } })
  http.setErrorHandler(sendError)
  http.get('/', () => Promise.reject(error))
  const response = await http.inject({ url })
  await http.close()
  stream.end()
  return { status: response.statusCode, body: response.body, log: await text(stream) }
}

function unavailable(cause?: unknown): ApiError {
  const options = cause === undefined ? {} : { cause }
  return new ApiError('TEMPORARILY_UNAVAILABLE', 'The database cannot be reached.', options)
}

test('what made the server fail is logged and not told', async () => {
  const network = Object.assign(new Error('connect refused by 10.0.0.7'), { code: 'ECONNREFUSED' })
  const cause = new Error('the pool is empty', { cause: network })

  const { status, body, log } = await answerTo(unavailable(cause))

  expect(status).toBe(503)
  expect(body).not.toContain('10.0.0.7')
  expect(log).toContain('the pool is empty')
  expect(log).toContain('ECONNREFUSED: connect refused by 10.0.0.7')
  expect(log).toContain('error-response.test.ts')
})

test('the log holds no password, signature or statement', async () => {
  const cause = Object.assign(
    new Error('postgresql://ann:hush1@db/x and https://s3/x?X-Amz-Signature=hush2&part=1'),
    { sql: 'select hush3', connection: { password: 'hush4' } },
  )

  const { log } = await answerTo(unavailable(cause), '/?access_token=hush5&part=2')

  expect(log).not.toContain('hush')
  expect(log).toContain('part=1')
  expect(log).toContain('part=2')
})

test.each([
  ['a refusal', new ApiError('INVALID_PARAMETER_VALUE', 'no', { cause: new Error('why') })],
  ['too many requests at once', unavailable()],
])('%s leaves no line in the log', async (_, error) => {
  expect((await answerTo(error)).log).toBe('')
})
