import { expect, test } from 'vitest'
import { startServer } from '../../test/start-server.ts'

test('pages of a listed origin or of a subdomain of a listed pattern may call, and no others', async () => {
  await using server = await startServer((config) => ({
    ...config,
    allowedOrigins: ['https://one.example', 'https://*.example.com', 'http://*.example.org:8080'],
  }))
  const answer = async (origin: string) => {
    const headers = { host: 'localhost', origin }
    const url = '/api/2.0/mlflow/experiments/search?max_results=1'
    const { statusCode, headers: sent } = await server.http.inject({ url, headers })
    return statusCode === 200 && sent['access-control-allow-origin'] === origin ? 'yes' : statusCode
  }

  for (const origin of [
    'https://one.example',
    'https://app.example.com',
    'https://a.b.example.com',
    'http://app.example.org:8080',
  ]) {
    expect([origin, await answer(origin)]).toEqual([origin, 'yes'])
  }
  for (const origin of [
    'https://two.example',
    'http://app.example.com',
    'https://example.com',
    'https://.example.com',
    'https://app.example.com.evil.example',
    'https://evil.example/.example.com',
    'https://evilexample.com',
    'http://app.example.org',
    'null',
  ]) {
    expect([origin, await answer(origin)]).toEqual([origin, 403])
  }
})
