import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { API_PREFIXES, json, startWatchedServer, type WatchedServer } from './oracles.ts'

let server: WatchedServer
let run_id: string
beforeAll(async () => {
  server = await startWatchedServer()
  run_id = (await server.client.runs.create({ experiment_id: '0' })).run.info.run_id
  await server.client.registeredModels.create({ name: 'm' })
})
afterAll(() => server[Symbol.asyncDispose]())
afterEach(() => expect(server.alarms()).toEqual([]))

/** Places of this machine, S01, and odd schemes, S09; `TRAP` is a listener nobody may call, S13. */
const SOURCES = [
  'file:///etc',
  '/etc',
  '//proc/self/root',
  'file:/etc',
  'FILE:///etc',
  'file://localhost/etc',
  'C:\\Windows',
  '\\\\host\\share',
  './relative',
  '../relative',
  '~/models',
  'local-file:///etc',
  'dbfs:/etc',
  'ftp://127.0.0.1/x',
  'hdfs://127.0.0.1/x',
  'viewfs://127.0.0.1/x',
  'sftp://127.0.0.1/x',
  'uc:/x',
  'TRAP/model',
  'TRAP/api/2.0/mlflow-artifacts/artifacts/1',
  'http:///etc',
  'gopher://127.0.0.1/x',
  'mlflow-artifacts://127.0.0.1:9/x',
  'mlflow-artifacts:/../../etc',
  'mlflow-artifacts:/%2e%2e/%2e%2e/etc',
  'runs:/../../etc',
  'runs:/RUN/../../../etc',
  'runs:/RUN/%2e%2e/%2e%2e/etc',
  'models:/../etc',
  's3://bucket/../../etc',
  's3://bucket/k#/../../etc',
  'javascript:alert(1)',
  'data:text/plain,x',
]

/** Tags that have opened doors elsewhere, S04. */
const TAGS = [
  'mlflow.prompt.is_prompt',
  'mlflow.prompt.text',
  'mlflow.modelVersions',
  'mlflow.user',
  'x',
]

function spelled(source: string): string {
  return source.replace('TRAP', server.trapUrl).replace('RUN', run_id)
}

async function createVersion(prefix: string, source: string, tags: object[] = []): Promise<number> {
  const body = JSON.stringify({ name: 'm', source, tags })
  return (await server.send('POST', `${prefix}/mlflow/model-versions/create`, body)).status
}

describe('S01, S09, S13: a version cannot be made of', () => {
  test.each(SOURCES)('%s', async (source) => {
    const statuses = await Promise.all(API_PREFIXES.map((p) => createVersion(p, spelled(source))))
    expect(new Set(statuses)).toEqual(new Set([400]))
  })
})

test('S04: no tag widens what a version can be made of', async () => {
  for (const source of SOURCES) {
    for (const key of TAGS) {
      for (const value of ['true', 'True', '1']) {
        const status = await createVersion('/api/2.0', spelled(source), [{ key, value }])
        expect([source, key, status]).toEqual([source, key, 400])
      }
    }
  }
})

test('S01: the placeholder of a prompt has no files behind it', async () => {
  const tags = [{ key: 'mlflow.prompt.is_prompt', value: 'true' }]
  await server.client.registeredModels.create({ name: 'prompt', tags })
  const source = 'dummy-source'
  const { model_version } = await server.client.modelVersions.create({
    name: 'prompt',
    source,
    tags,
  })

  for (const path of ['passwd', 'etc/passwd', 'secret.txt']) {
    const url = `/model-versions/get-artifact?name=prompt&version=${model_version.version}&path=${path}`
    expect((await server.send('GET', url)).status).toBeOneOf([400, 403, 404])
  }
})

test('S07: a source that exists is refused in the very words of one that does not', async () => {
  const answers = await Promise.all(
    [server.outside, `${server.outside}-no`, '/etc/passwd', '/etc/no-such'].map(async (source) => {
      const body = JSON.stringify({ name: 'm', source })
      const answer = await server.send('POST', '/api/2.0/mlflow/model-versions/create', body)
      return [answer.status, String(json(answer)['message']).replace(source, 'SOURCE')]
    }),
  )

  expect(new Set(answers.map(String)).size).toBe(1)
})

/** S03: what is not the path of a URL but is used as one elsewhere. */
const LOCATIONS = [
  'http:///#/../../etc/',
  'http://host/?/../../etc',
  'http://host/;/../../etc',
  's3://bucket/k#/../..',
  's3://bucket/k?x=/../..',
  's3://user:password@bucket/../k',
  'http://user@127.0.0.1/x',
  'http:\\\\127.0.0.1\\x',
  'file:///etc#/x',
  'file:///../etc',
  'mlflow-artifacts:/x/../../etc',
  'mlflow-artifacts:/%2e%2e/%2e%2e/etc',
  'runs:/x',
  'ftp://127.0.0.1/x',
  'hdfs://127.0.0.1/x',
  'TRAP/x',
  '/tmp/a/../../etc',
  '/tmp/%2e%2e/etc',
]

describe('S03: an experiment cannot keep its artifacts at', () => {
  test.each(LOCATIONS)('%s', async (location) => {
    const artifact_location = spelled(location)
    for (const prefix of API_PREFIXES) {
      const body = JSON.stringify({ name: `at ${prefix} ${location}`, artifact_location })
      const answer = await server.send('POST', `${prefix}/mlflow/experiments/create`, body)
      expect([prefix, answer.status]).toEqual([prefix, 400])
    }
  })
})

test('a directory that a client chose is not read to it, nor written to, nor listed', async () => {
  for (const artifact_location of [server.outside, `file://${server.outside}`]) {
    const body = JSON.stringify({ name: `chosen ${artifact_location}`, artifact_location })
    const created = await server.send('POST', '/api/2.0/mlflow/experiments/create', body)
    if (created.status !== 200) continue
    const { experiment_id } = json(created) as { experiment_id: string }
    const { run } = await server.client.runs.create({ experiment_id })
    const { run_id } = run.info
    const model = (await server.client.loggedModels.create({ experiment_id })).model.info.model_id
    const base = '/ajax-api/2.0/mlflow'
    const statuses = await Promise.all([
      server.send('GET', `/get-artifact?run_uuid=${run_id}&path=secret.txt`),
      server.send('GET', `${base}/artifacts/list?run_id=${run_id}`),
      server.send('POST', `${base}/upload-artifact?run_uuid=${run_id}&path=new.txt`, 'x'),
      server.send('GET', `${base}/logged-models/${model}/artifacts/files?artifact_file_path=x`),
      server.send('GET', `${base}/logged-models/${model}/artifacts/directories`),
    ])
    expect(statuses.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403])
  }
})

test('S13: nothing that a source or location names is ever called', async () => {
  const { trapUrl } = server
  for (const tag of ['mlflow.source.git.repoURL', 'mlflow.note.content', 'mlflow.source.name']) {
    await server.client.runs.setTag({ run_id, key: tag, value: trapUrl })
  }
  const run_link = `${trapUrl}/run`
  const source = 's3://bucket/model'
  await server.client.modelVersions.create({ name: 'm', source, run_link, description: trapUrl })
  const dataset = { name: 'd', digest: '1', source_type: 'http', source: `{"url":"${trapUrl}"}` }
  await server.client.runs.logInputs({ run_id, datasets: [{ dataset }] })
  await server.client.runs.get({ run_id })
  await server.send('GET', `/model-versions/get-artifact?name=m&version=1&path=x`)

  expect(server.alarms()).toEqual([])
})

test('S16: what looks like a variable is kept as it is', async () => {
  for (const value of [
    '$HOME',
    '${PATH}',
    '%PATH%',
    '{{7*7}}',
    '$MILLRACE_TEST_SECRET',
    '`id`',
    '$(id)',
  ]) {
    await server.client.runs.setTag({ run_id, key: 'literal', value })
    const { tags = [] } = (await server.client.runs.get({ run_id })).run.data
    expect(tags.find(({ key }) => key === 'literal')?.value).toBe(value)

    const answer = await createVersion('/api/2.0', join('/', value))
    expect(answer).toBe(400)
  }
})
