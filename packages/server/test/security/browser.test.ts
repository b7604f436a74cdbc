import { api, streams } from '@millrace/api/api'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { fuzzTargets } from '../fuzz-requests.ts'
import { STATIC_PREFIX, startWatchedServer, type WatchedServer } from './oracles.ts'

let server: WatchedServer
let run_id: string
beforeAll(async () => {
  server = await startWatchedServer()
  run_id = (await server.client.runs.create({ experiment_id: '0' })).run.info.run_id
})
afterAll(() => server[Symbol.asyncDispose]())
afterEach(() => expect(server.alarms()).toEqual([]))

const targets = fuzzTargets(STATIC_PREFIX)
/** Every URL of every endpoint with its methods, path parameters filled with a word. */
const routes = targets.flatMap(({ urls, methods }) =>
  urls.flatMap((url) => methods.map((method) => ({ method, url: url.replace(/:\w+|\*/g, 'x') }))),
)
const SERVICE = ['/health', '/version', `${STATIC_PREFIX}/health`, `${STATIC_PREFIX}/version`]
/** The only routes that answer under any host name, for load balancers. */
const PAGES = ['/', `${STATIC_PREFIX}/`, '/no-such', '/static-files/x', '/graphql']

test('the routes of these tests are all that the contract has', () => {
  const endpoints = [...Object.values(api), ...Object.values(streams)].flatMap(Object.keys)
  expect(targets).toHaveLength(endpoints.length)
  expect(routes.length).toBeGreaterThan(endpoints.length * 4)
})

/** Hosts that are not this machine, however much they look like it. */
const FOREIGN_HOSTS = [
  'evil.example',
  'evil.example:5000',
  '10.evil.example',
  '192.168.attacker.com:5000',
  '172.16.evil.example',
  'localhost:evil.com',
  '127.0.0.1:5000@evil.com',
  'fc00:evil',
  'localhost.evil.com',
  '127.0.0.1.evil.com',
  '127.0.0.1.nip.io',
  '0x7f.1',
  '2130706433',
  '127.1',
  '8.8.8.8',
  '[2001:db8::1]',
  '[fc00::1',
  'localhost/',
  'localhost#',
  ' ',
]

describe('S21: a page of another name cannot reach', () => {
  test.each(FOREIGN_HOSTS)('the server as %j', async (host) => {
    const wrong: string[] = []
    const some = [
      ...routes.filter((_, i) => i % 7 === 0),
      ...PAGES.map((url) => ({ method: 'GET', url })),
    ]
    await Promise.all(
      some.map(async ({ method, url }) => {
        const { status, headers } = await server.send(method, url, undefined, { host })
        const isRefused = status === 421 || (status === 400 && host === ' ')
        if (!isRefused || 'access-control-allow-origin' in headers)
          wrong.push(`${method} ${url} ${status}`)
      }),
    )
    expect(wrong).toEqual([])
  })

  test('any route at all as evil.example', async () => {
    const statuses = await Promise.all(
      routes.map(
        async ({ method, url }) =>
          (await server.send(method, url, undefined, { host: 'evil.example' })).status,
      ),
    )
    expect(new Set(statuses)).toEqual(new Set([421]))
  })
})

test('S21: names of this machine and private addresses are answered', async () => {
  for (const host of [
    'localhost',
    'LOCALHOST:80',
    '127.0.0.1:5000',
    '127.9.9.9',
    '[::1]:1',
    '10.0.0.1',
    '192.168.1.1',
    '172.31.0.1',
    '[fd00::1]',
  ]) {
    const { status } = await server.send(
      'GET',
      `/api/2.0/mlflow/runs/get?run_id=${run_id}`,
      undefined,
      { host },
    )
    expect([host, status]).toEqual([host, 200])
  }
  for (const url of SERVICE) {
    expect((await server.send('GET', url, undefined, { host: 'probe.example' })).status).toBe(200)
  }
})

const FOREIGN_ORIGINS = [
  'https://evil.example',
  'null',
  'http://localhost:1',
  'http://127.0.0.1:1',
  'http://localhost.evil.example',
  'https://127.0.0.1.nip.io',
  'file://',
  'chrome-extension://x',
  'http://',
  'x',
]

describe('S20, S22: a page of another origin is refused by every route and method', () => {
  test.each(FOREIGN_ORIGINS)('%s', async (origin) => {
    const wrong: string[] = []
    const all = [...routes, ...[...SERVICE, ...PAGES].map((url) => ({ method: 'GET', url }))]
    await Promise.all(
      all.map(async ({ method, url }) => {
        const headers = { origin, cookie: 'session=1' }
        const answer = await server.send(method, url, undefined, headers)
        const isAllowed = Object.keys(answer.headers).some((name) =>
          name.startsWith('access-control-'),
        )
        if (answer.status !== 403 || isAllowed) wrong.push(`${method} ${url} ${answer.status}`)
      }),
    )
    expect(wrong).toEqual([])
  })

  test('preflights are not granted', async () => {
    for (const url of ['/api/2.0/mlflow/runs/create', '/ajax-api/2.0/mlflow/runs/create', '/']) {
      const answer = await server.send('OPTIONS', url, undefined, {
        origin: 'https://evil.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type',
      })
      expect(answer.status).toBe(403)
      expect(answer.headers['access-control-allow-origin']).toBeUndefined()
    }
  })
})

describe('S20: a form cannot write', () => {
  const types = [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain; application/json',
  ]
  test.each(types)('%s', async (type) => {
    const posts = targets.filter(
      ({ id, methods }) => methods.includes('POST') && !id.includes('uploadArtifact'),
    )
    for (const { urls } of posts) {
      for (const url of urls) {
        const path = url.replace(/:\w+|\*/g, 'x')
        const answer = await server.send('POST', path, '{"experiment_id":"0"}', {
          'content-type': type,
        })
        expect([path, answer.status]).toEqual([path, expect.toBeOneOf([400, 403, 415])])
      }
    }
  })
})

const SCRIPT = '<img src=x onerror=alert(1)>'

describe('S18: nothing that was sent comes back as a page', () => {
  test.each([
    ['a content type', 'POST', '/api/2.0/mlflow/runs/create', { 'content-type': SCRIPT }],
    ['a path', 'GET', `/${encodeURIComponent(SCRIPT)}`, {}],
    ['a path of the API', 'GET', `/api/2.0/mlflow/${encodeURIComponent(SCRIPT)}`, {}],
    ['a path that cannot be decoded', 'GET', `/api/2.0/%zz${encodeURIComponent(SCRIPT)}`, {}],
    ['an id', 'GET', `/api/2.0/mlflow/runs/get?run_id=${encodeURIComponent(SCRIPT)}`, {}],
    [
      'a boolean',
      'GET',
      `/api/2.0/mlflow/logged-models/x?allow_deleted=${encodeURIComponent(SCRIPT)}`,
      {},
    ],
    [
      'a filter',
      'GET',
      `/api/2.0/mlflow/registered-models/search?filter=${encodeURIComponent(SCRIPT)}`,
      {},
    ],
    [
      'an artifact',
      'GET',
      `/get-artifact?run_uuid=${run_id}&path=${encodeURIComponent(SCRIPT)}`,
      {},
    ],
    [
      'a user agent',
      'GET',
      '/no-such',
      { 'user-agent': SCRIPT, referer: SCRIPT, accept: 'text/html' },
    ],
  ])('%s', async (_what, method, url, headers) => {
    const answer = await server.send(method, url, method === 'POST' ? '{}' : undefined, headers)

    const type = String(answer.headers['content-type'])
    if (type.startsWith('text/html')) expect(answer.body.toString()).not.toContain('<img')
    else expect(type).toMatch(/^(application\/json|text\/plain)/)
    expect(answer.headers['x-content-type-options']).toBe('nosniff')
  })
})

describe('S19, S23: what a browser is told', () => {
  test.each(['page.html', 'drawing.svg', 'script.js', 'note.md', 'data.xml', 'x.pdf', 'y.xhtml'])(
    'an artifact called %s gets no scripts and no origin',
    async (name) => {
      const url = `/api/2.0/mlflow-artifacts/artifacts/stored/${name}`
      await server.send('PUT', url, `<script>${SCRIPT}</script>`)
      const { headers } = await server.send('GET', url)

      expect(headers['content-security-policy']).toContain('sandbox')
      expect(headers['x-content-type-options']).toBe('nosniff')
      expect(headers['content-disposition']).toMatch(/^attachment/)
    },
  )

  test.each([...PAGES, `${STATIC_PREFIX}/runs/x`])(
    'the page %s may run no scripts but its own',
    async (url) => {
      const { headers } = await server.send('GET', url, undefined, { accept: 'text/html' })

      const policy = String(headers['content-security-policy'])
      expect(policy).toMatch(/script-src 'self'(;|$)/)
      expect(policy).toContain("frame-ancestors 'self'")
      expect(policy).toContain("object-src 'none'")
      expect(headers['x-frame-options']).toBe('SAMEORIGIN')
      expect(headers['referrer-policy']).toBeDefined()
    },
  )
})

describe('S29: a method that an endpoint does not have', () => {
  const all = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND']
  test('changes nothing and is answered as no endpoint is', async () => {
    const known = new Set(routes.map(({ method, url }) => `${method} ${url}`))
    for (const { method, url } of routes) if (method === 'GET') known.add(`HEAD ${url}`)
    const before = await server.client.runs.search({ experiment_ids: ['0'] })
    const wrong: string[] = []
    const urls = [...new Set(routes.map(({ url }) => url))]
    await Promise.all(
      urls.flatMap((url) =>
        all.map(async (method) => {
          if (known.has(`${method} ${url}`)) return
          const body = ['POST', 'PUT', 'PATCH', 'DELETE'].includes(method) ? '{}' : undefined
          const { status } = await server.send(method, url, body)
          if (![400, 404, 405, 501].includes(status)) wrong.push(`${method} ${url} ${status}`)
        }),
      ),
    )
    expect(wrong).toEqual([])
    expect(await server.client.runs.search({ experiment_ids: ['0'] })).toEqual(before)
  })

  test('cannot be asked for by a header or a field', async () => {
    const url = `/api/2.0/mlflow/runs/get?run_id=${run_id}&_method=DELETE`
    const headers = {
      'x-http-method-override': 'DELETE',
      'x-http-method': 'DELETE',
      'x-method-override': 'POST',
    }

    const { status } = await server.send('GET', url, undefined, headers)

    expect(status).toBe(200)
    expect((await server.client.runs.get({ run_id })).run.info.lifecycle_stage).toBe('active')
  })
})
