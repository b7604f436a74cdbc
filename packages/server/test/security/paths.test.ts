import { mkdirSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { artifactsPath } from '../server-process.ts'
import {
  API_PREFIXES,
  json,
  STATIC_PREFIX,
  startWatchedServer,
  type WatchedServer,
} from './oracles.ts'

let server: WatchedServer
let experiment_id: string
let run_id: string
let model_id: string
beforeAll(async () => {
  server = await startWatchedServer()
  experiment_id = (await server.client.experiments.create({ name: 'paths' })).experiment_id
  run_id = (await server.client.runs.create({ experiment_id })).run.info.run_id
  model_id = (await server.client.loggedModels.create({ experiment_id })).model.info.model_id
  await server.client.registeredModels.create({ name: 'm' })
  const source = `mlflow-artifacts:/${experiment_id}/${run_id}/artifacts`
  await server.client.modelVersions.create({ name: 'm', source, run_id })
  for (const path of [`${experiment_id}/${run_id}/artifacts/a.txt`, 'keep/me.txt']) {
    await server.send('PUT', `/api/2.0/mlflow-artifacts/artifacts/${path}`, 'kept')
  }
})
afterAll(() => server[Symbol.asyncDispose]())
afterEach(async () => {
  expect(server.alarms()).toEqual([])
  const kept = await server.send('GET', '/api/2.0/mlflow-artifacts/artifacts/keep/me.txt')
  expect(kept.body.toString()).toBe('kept')
})

/** Paths as a handler must never see them used, after one decoding. */
const ESCAPES = [
  '..',
  '../outside/secret.txt',
  '../../../../../../../../etc/passwd',
  'keep/../../../outside/secret.txt',
  './../outside/secret.txt',
  'a/./../../outside/secret.txt',
  '..\\outside\\secret.txt',
  'a\\..\\..\\outside',
  '%2e%2e/outside/secret.txt',
  '%2e%2e%2foutside%2fsecret.txt',
  '%252e%252e%252foutside',
  '..%2f..%2fetc%2fpasswd',
  '..%c0%afoutside',
  '%c0%ae%c0%ae/outside',
  '/etc/passwd',
  '//etc/passwd',
  'C:/Windows/win.ini',
  'C:\\Windows\\win.ini',
  'file:///etc/passwd',
  'secret.txt\0.png',
  '..\0/outside',
  'keep/me.txt#/../../outside',
  '\u2025/outside',
  '.../...//outside',
]
/** Escapes that are no more than odd names, and so may be missing rather than refused. */
const ODD_NAMES = ['\u2025/outside', '.../...//outside']

/** A path as it is, percent-encoded, and encoded twice; a raw one only where HTTP can carry it. */
function spellings(path: string): string[] {
  const encoded = encodeURIComponent(path)
  const raw = /^[\w./:-]+$/.test(path) ? [path] : []
  return [...raw, encoded, encodeURIComponent(encoded), encoded.replaceAll('%2F', '/')]
}

/** Every endpoint that takes a path, with the place of the path in its URL. */
function pathRequests(): [
  what: string,
  method: string,
  url: (path: string) => string,
  body?: (path: string) => string,
][] {
  const inApi = (prefix: string): ReturnType<typeof pathRequests> => [
    ['download', 'GET', (p) => `${prefix}/mlflow-artifacts/artifacts/${p}`],
    ['head', 'HEAD', (p) => `${prefix}/mlflow-artifacts/artifacts/${p}`],
    ['upload', 'PUT', (p) => `${prefix}/mlflow-artifacts/artifacts/${p}`],
    ['delete', 'DELETE', (p) => `${prefix}/mlflow-artifacts/artifacts/${p}`],
    ['list', 'GET', (p) => `${prefix}/mlflow-artifacts/artifacts?path=${p}`],
    ['list of a run', 'GET', (p) => `${prefix}/mlflow/artifacts/list?run_id=${run_id}&path=${p}`],
    ['multipart', 'POST', (p) => `${prefix}/mlflow-artifacts/mpu/create/${p}`, () => '{}'],
    ['complete', 'POST', (p) => `${prefix}/mlflow-artifacts/mpu/complete/${p}`, () => '{}'],
    ['abort', 'POST', (p) => `${prefix}/mlflow-artifacts/mpu/abort/${p}`, () => '{}'],
    ['presigned', 'GET', (p) => `${prefix}/mlflow-artifacts/presigned/${p}`],
    [
      'presigned upload',
      'POST',
      () => `${prefix}/mlflow/artifacts/presigned-upload-url`,
      (path) => JSON.stringify({ run_id, path }),
    ],
    [
      'presigned download',
      'POST',
      () => `${prefix}/mlflow/artifacts/presigned-download-url`,
      (path) => JSON.stringify({ run_id, path }),
    ],
    [
      'list of a model',
      'GET',
      (p) =>
        `${prefix}/mlflow/logged-models/${model_id}/artifacts/directories?artifact_directory_path=${p}`,
    ],
  ]
  const inAjax = (prefix: string): ReturnType<typeof pathRequests> => [
    [
      'upload to a run',
      'POST',
      (p) => `${prefix}/mlflow/upload-artifact?run_uuid=${run_id}&path=${p}`,
      () => 'x',
    ],
    [
      'file of a model',
      'GET',
      (p) => `${prefix}/mlflow/logged-models/${model_id}/artifacts/files?artifact_file_path=${p}`,
    ],
  ]
  const atRoot = (prefix: string): ReturnType<typeof pathRequests> => [
    ['file of a run', 'GET', (p) => `${prefix}/get-artifact?run_uuid=${run_id}&path=${p}`],
    [
      'file of a version',
      'GET',
      (p) => `${prefix}/model-versions/get-artifact?name=m&version=1&path=${p}`,
    ],
  ]
  return [
    ...API_PREFIXES.flatMap(inApi),
    ...API_PREFIXES.filter((prefix) => prefix.includes('ajax')).flatMap(inAjax),
    ...['', STATIC_PREFIX].flatMap(atRoot),
  ]
}

/** Refusals of a path; a store without presigned links says so only after the path is found good. */
const REFUSALS = [400, 404]

describe('S02, S05, S06: no path leads out of the artifacts', () => {
  test.each(ESCAPES)('%j', async (path) => {
    const accepted: string[] = []
    await Promise.all(
      pathRequests().flatMap(([what, method, url, body]) =>
        spellings(path).map(async (spelling) => {
          const bytes = body?.(path) ?? (method === 'PUT' ? 'written' : undefined)
          const target = url(spelling)
          const { status } = await server.send(method, target, bytes)
          const isOdd = ODD_NAMES.includes(path) && (status < 300 || status === 501)
          if (!REFUSALS.includes(status) && !isOdd) accepted.push(`${what}: ${target} ${status}`)
        }),
      ),
    )

    expect(accepted).toEqual([])
  })
})

test('S08: links below the artifacts are not followed, and not listed', async () => {
  const root = artifactsPath(join(server.outside, '..', 'data'))
  mkdirSync(join(root, 'links'))
  symlinkSync(server.outside, join(root, 'links', 'directory'))
  symlinkSync(join(server.outside, 'secret.txt'), join(root, 'links', 'file.txt'))
  symlinkSync('/etc', join(root, 'etc'))

  const base = '/api/2.0/mlflow-artifacts/artifacts'
  for (const path of ['links/file.txt', 'links/directory/secret.txt', 'etc/passwd']) {
    expect((await server.send('GET', `${base}/${path}`)).status).toBe(404)
    expect((await server.send('PUT', `${base}/${path}`, 'x')).status).toBeOneOf([200, 400, 404])
    expect((await server.send('DELETE', `${base}/${path}`)).status).toBeLessThan(500)
  }
  expect(json(await server.send('GET', `${base}?path=links/directory`))).toEqual({})
})

test('S08: a directory that becomes a link between two looks leads nowhere', async () => {
  const root = artifactsPath(join(server.outside, '..', 'data'))
  const base = '/api/2.0/mlflow-artifacts/artifacts'
  await server.send('PUT', `${base}/race/secret.txt`, 'mine')
  symlinkSync(server.outside, join(root, 'race-link'))
  let isOver = false
  const swapping = (async () => {
    while (!isOver) {
      renameSync(join(root, 'race'), join(root, 'race-kept'))
      renameSync(join(root, 'race-link'), join(root, 'race'))
      await new Promise(setImmediate)
      renameSync(join(root, 'race'), join(root, 'race-link'))
      renameSync(join(root, 'race-kept'), join(root, 'race'))
      await new Promise(setImmediate)
    }
  })()

  const bodies = new Set<string>()
  for (let i = 0; i < 200; i++) {
    const answer = await server.send('GET', `${base}/race/secret.txt`)
    bodies.add(answer.status === 200 ? answer.body.toString() : String(answer.status))
  }
  isOver = true
  await swapping

  expect([...bodies].filter((body) => body !== 'mine' && body !== '404')).toEqual([])
})

test('S12: names that look alike are told apart or refused, and one URL opens one of them', async () => {
  const names = [
    'a%2fb',
    'a%252fb',
    'caf\u00e9',
    'cafe\u0301',
    'dot.',
    'dot',
    'space ',
    'space',
    'zero\u200b',
    'zero',
  ]
  for (const name of names) {
    const body = JSON.stringify({ name, description: name })
    await server.send('POST', '/api/2.0/mlflow/registered-models/create', body)
  }
  for (const name of names) {
    const url = `/api/2.0/mlflow/registered-models/get?name=${encodeURIComponent(name)}`
    const answer = await server.send('GET', url)
    const { registered_model } = json(answer) as {
      registered_model?: { name: string; description: string }
    }
    if (answer.status === 200) {
      expect([registered_model?.name, registered_model?.description]).toEqual([name, name])
    } else expect(answer.status).toBeOneOf([400, 404])
  }
  const slash = await server.send(
    'POST',
    '/api/2.0/mlflow/registered-models/create',
    '{"name":"a/b"}',
  )
  expect(slash.status).toBe(400)
})
