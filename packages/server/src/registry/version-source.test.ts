import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'

let server: TestServer
let experiment_id: string
let run_id: string
let model_id: string
/** A directory that a local experiment keeps its artifacts in. */
let root: string
let local: { run_id: string; model_id: string }

beforeAll(async () => {
  server = await startServer((config) => ({
    ...config,
    settings: { ...config.settings, allowsLocalLocations: true },
  }))
  const { client, directory } = server
  await client.registeredModels.create({ name: 'm' })
  experiment_id = (await client.experiments.create({ name: 'e' })).experiment_id
  ;({ run_id, model_id } = await createRunAndModel(experiment_id))
  root = join(directory, 'local')
  const created = await client.experiments.create({ name: 'l', artifact_location: root })
  local = await createRunAndModel(created.experiment_id)
})
afterAll(() => server.close())

async function createRunAndModel(experiment_id: string) {
  const { run } = await server.client.runs.create({ experiment_id })
  const source_run_id = run.info.run_id
  const { model } = await server.client.loggedModels.create({ experiment_id, source_run_id })
  return { run_id: source_run_id, model_id: model.info.model_id }
}

interface Request {
  source: string
  run_id?: string
  model_id?: string
  tags?: { key: string; value: string }[]
}

async function create(request: Request) {
  const { model_version } = await server.client.modelVersions.create({ name: 'm', ...request })
  const { version } = model_version
  const { artifact_uri } = await server.client.modelVersions.getDownloadUri({ name: 'm', version })
  return { ...model_version, artifact_uri }
}

/** What the server says to a request that it refuses. */
async function refusal(request: Request): Promise<{ code: string; message: string }> {
  return create(request).then(
    () => expect.fail(`${request.source} was accepted`),
    ({ code, message }) => ({ code, message }),
  )
}

const relative = 'an absolute path must be provided without relative path references present'
const localPath = 'To use a local path as a model version source, the run_id request parameter'
const unrelatedTo = (field: string) =>
  `The ${field} request parameter must identify the resource that contains the source.`
const scheme = (name: string) => `'source' cannot use the '${name}' scheme: `

const LOCAL_FILES = [
  'file:///etc',
  '/etc',
  '/etc/passwd',
  '//proc/self/root',
  'file:/etc',
  'FILE:///etc',
  'file://localhost/etc',
  'etc',
  '.',
  '../x',
  '\\\\host\\share',
  '/%2e%2e/etc',
  'dummy-source',
  'prompt-template',
]

const FOREIGN_SCHEMES = [
  'dbfs:/x',
  'ftp://h/x',
  'hdfs://h/x',
  'hdfs:/x',
  'viewfs:/x',
  'sftp://h/x',
  'uc:/x',
  'http://h/x',
  'https://h/x',
  'HTTPS://h/x',
  'gopher://h/x',
  'mlflow-artifacts://h:1/x',
]

describe('a place that the caller names', () => {
  test.each(LOCAL_FILES)('%s is refused whatever run or model is named', async (source) => {
    expect(await refusal({ source })).toEqual({
      code: 'INVALID_PARAMETER_VALUE',
      message: expect.stringContaining(localPath),
    })
    for (const ids of [{ run_id }, { model_id }, { run_id: local.run_id }, local]) {
      expect(await refusal({ source, ...ids })).toEqual({
        code: 'INVALID_PARAMETER_VALUE',
        message: expect.stringContaining('To use a local path as a model version source'),
      })
    }
  })

  test.each(FOREIGN_SCHEMES)('%s is refused unless it is configured', async (source) => {
    const name = source.split(':')[0]?.toLowerCase() ?? ''
    for (const ids of [{}, { run_id }, { model_id }]) {
      expect(await refusal({ source, ...ids })).toEqual({
        code: 'INVALID_PARAMETER_VALUE',
        message: expect.stringContaining(scheme(name)),
      })
    }
  })

  test('a configured scheme is accepted, but not by way of an artifact proxy', async () => {
    await using configured = await startServer((config) => ({
      ...config,
      settings: { ...config.settings, allowedArtifactSchemes: ['https', 'gopher'] },
    }))
    const { registeredModels, modelVersions } = configured.client
    await registeredModels.create({ name: 'm' })

    for (const source of ['https://h/x', 'gopher://h/x']) {
      const { model_version } = await modelVersions.create({ name: 'm', source })
      expect(model_version.source).toBe(source)
    }
    for (const source of [
      'https://h/api/2.0/mlflow-artifacts/artifacts/1/r',
      'https://h/ajax-api/2.0/mlflow-artifacts%2Fartifacts/1/r',
    ]) {
      await expect(modelVersions.create({ name: 'm', source })).rejects.toMatchObject({
        message: expect.stringContaining(unrelatedTo('run_id')),
      })
    }
  })

  test.each(['s3://b/../k', 's3://b/%252e%252e/k', 's3://b/k%00', 's3://b', 'C:\\Windows'])(
    '%s is refused',
    async (source) => {
      expect((await refusal({ source })).message).toContain(relative)
    },
  )

  test.each(['s3://bucket/key', 'gs://b/k', 'wasbs://c@a.blob.core.windows.net/p'])(
    '%s is kept as it is',
    async (source) => {
      expect(await create({ source })).toMatchObject({ source, artifact_uri: source })
    },
  )

  test('says the same of a file that is there and of one that is not', async () => {
    const existing = join(server.directory, 'mlflow.db')
    for (const ids of [{}, { run_id }, local]) {
      const answers = await Promise.all(
        [existing, `${existing}x`].map(async (source) => {
          const { code, message } = await refusal({ source, ...ids })
          return { code, message: message.replace(source, 'S') }
        }),
      )
      expect(answers[0]).toEqual(answers[1])
    }
  })
})

describe('tags', () => {
  const reserved = [
    'mlflow.prompt.is_prompt',
    'mlflow.prompt.text',
    '_mlflow_prompt_type',
    'mlflow.modelVersions',
    'mlflow.source.name',
  ]
  const everything = [...LOCAL_FILES.slice(0, -2), ...FOREIGN_SCHEMES, 's3://b/../k', 'runs:/x/y']

  test.each(['true', 'TRUE', 'false', ''])(
    'of value %j let nothing else through',
    async (value) => {
      const tags = reserved.map((key) => ({ key, value }))
      for (const source of everything) {
        expect((await refusal({ source, tags })).code, source).toBe('INVALID_PARAMETER_VALUE')
      }
    },
  )

  const prompt = [{ key: 'mlflow.prompt.is_prompt', value: 'true' }]

  test.each(['s3://b/k', 'models:/m/1', '/etc', '//proc', 'http://h/x'])(
    'of a prompt take %s away, which is no placeholder',
    async (source) => {
      expect(await refusal({ source, tags: prompt })).toEqual({
        code: 'INVALID_PARAMETER_VALUE',
        message: `Invalid prompt source: '${source}'. Prompt sources must use an MLflow placeholder.`,
      })
    },
  )

  test.each(['dummy-source', 'prompt-template'])('of a prompt let %s stand', async (source) => {
    expect((await create({ source, tags: prompt })).source).toBe(source)
  })

  test('count once per key, and the last value decides', async () => {
    const key = 'mlflow.prompt.is_prompt'
    const tags = [...prompt, { key, value: 'false' }]

    expect((await refusal({ source: 'dummy-source', tags })).message).toContain(localPath)
  })
})

describe('a directory of this machine', () => {
  const below = (run_id: string, path = '') => join(root, run_id, 'artifacts', path)

  test('is accepted below the artifacts of the run or model named', async () => {
    const { run_id, model_id } = local
    for (const source of [
      below(run_id),
      below(run_id, 'a b/model'),
      `file://${below(run_id, 'x')}`,
    ]) {
      expect(await create({ source, run_id })).toMatchObject({ source, artifact_uri: source })
    }
    const source = join(root, 'models', model_id, 'artifacts', 'x')
    expect(await create({ source, model_id })).toMatchObject({ source, run_id, model_id })
  })

  test('is refused beside them', async () => {
    const { run_id, model_id } = local
    const other = (await createRunAndModel(experiment_id)).run_id
    for (const [source, ids] of [
      [below(run_id), { run_id: other }],
      [below(run_id), { model_id }],
      [`${below(run_id)}x`, { run_id }],
      [join(root, run_id), { run_id }],
      [root, { run_id }],
      [`${below(run_id)}/../x`, { run_id }],
    ] as const) {
      expect((await refusal({ source, ...ids })).message, source).toContain('To use a local path')
    }
  })

  test('is not read through the server unless whoever started it says so', async () => {
    const { run_id } = local
    mkdirSync(below(run_id), { recursive: true })
    writeFileSync(below(run_id, 'secret'), 'secret')
    const { version } = await create({ source: below(run_id), run_id })

    const { statusCode, body } = await server.http.inject({
      url: '/model-versions/get-artifact',
      query: { name: 'm', version, path: 'secret' },
    })

    expect(statusCode).toBe(403)
    expect(body).not.toContain('"secret"')
  })
})

describe('artifacts behind the proxy', () => {
  const ofRun = (path = '') => `mlflow-artifacts:/${experiment_id}/${run_id}/artifacts${path}`
  const ofModel = (path = '') =>
    `mlflow-artifacts:/${experiment_id}/models/${model_id}/artifacts${path}`

  test('are accepted where they belong to the run or model named', async () => {
    for (const path of ['', '/', '/model', '/a%20b']) {
      const source = ofRun(path)
      expect(await create({ source, run_id })).toMatchObject({
        source,
        run_id,
        artifact_uri: source,
      })
    }
    expect(await create({ source: ofModel('/x'), model_id })).toMatchObject({ run_id, model_id })
  })

  test('are refused behind the proxy of another host, even one that is allowed', async () => {
    await using configured = await startServer((config) => ({
      ...config,
      settings: { ...config.settings, allowedArtifactSchemes: ['mlflow-artifacts'] },
    }))
    const { experiments, runs, registeredModels, modelVersions } = configured.client
    const { experiment_id } = await experiments.create({ name: 'e' })
    const { run_id } = (await runs.create({ experiment_id })).run.info
    await registeredModels.create({ name: 'm' })
    const path = `${experiment_id}/${run_id}/artifacts`

    const create = (source: string) => modelVersions.create({ name: 'm', source, run_id })

    await create(`mlflow-artifacts:/${path}`)
    await expect(create(`mlflow-artifacts://host/${path}`)).rejects.toMatchObject({
      message: expect.stringContaining(unrelatedTo('run_id')),
    })
  })

  test('are refused where they do not', async () => {
    const cases: [string, Omit<Request, 'source'>, 'run_id' | 'model_id'][] = [
      [ofRun(), {}, 'run_id'],
      [ofRun('x'), { run_id }, 'run_id'],
      [ofRun(), { run_id: 'unknown' }, 'run_id'],
      [ofRun(), { run_id: local.run_id }, 'run_id'],
      [ofRun(), { model_id }, 'model_id'],
      [ofRun(), { model_id, run_id }, 'model_id'],
      [ofModel(), { run_id }, 'run_id'],
      [ofModel(), { model_id: 'm-unknown' }, 'model_id'],
      ['mlflow-artifacts:/', { run_id }, 'run_id'],
    ]
    for (const [source, ids, field] of cases) {
      const { code, message } = await refusal({ source, ...ids })
      expect(code, source).toBe('INVALID_PARAMETER_VALUE')
      if (source !== 'mlflow-artifacts:/') expect(message, source).toContain(unrelatedTo(field))
    }
  })
})

describe('runs:/', () => {
  test('needs the id of that run', async () => {
    const source = `runs:/${run_id}/model`
    expect(await create({ source, run_id })).toMatchObject({ source, run_id, artifact_uri: source })

    for (const ids of [{}, { run_id: local.run_id }]) {
      expect((await refusal({ source, ...ids })).message).toContain(unrelatedTo('run_id'))
    }
    for (const ids of [{ model_id }, { model_id, run_id }]) {
      expect((await refusal({ source, ...ids })).message).toContain(unrelatedTo('model_id'))
    }
  })
})

describe('a logged model', () => {
  test('gives a version its artifacts and its run, and notes the version', async () => {
    const { model_id } = await createRunAndModel(experiment_id)
    const source = `models:/${model_id}`

    const version = await create({ source, model_id })

    const { model } = await server.client.loggedModels.get({ model_id })
    const { artifact_uri, source_run_id, tags } = model.info
    expect(version).toMatchObject({ source, model_id, run_id: source_run_id, artifact_uri })
    expect(tags?.map(({ key, value }) => [key, JSON.parse(value)])).toEqual([
      ['mlflow.modelVersions', [{ name: 'm', version: Number(version.version) }]],
    ])

    const second = await create({ source, model_id, run_id: 'another' })

    expect(second.run_id).toBe('another')
    const [tag] = (await server.client.loggedModels.get({ model_id })).model.info.tags ?? []
    expect(tag?.value).toBe(
      `[{"name": "m", "version": ${version.version}}, {"name": "m", "version": ${second.version}}]`,
    )
  })

  test('must be the one named, and be there', async () => {
    const deleted = (await createRunAndModel(experiment_id)).model_id
    await server.client.loggedModels.delete({ model_id: deleted })

    const source = `models:/${model_id}`
    for (const ids of [{}, { run_id }, { model_id: local.model_id }]) {
      expect((await refusal({ source, ...ids })).message).toContain(unrelatedTo('model_id'))
    }
    for (const id of [deleted, 'm-unknown']) {
      for (const source of [`models:/${id}`, 's3://b/k']) {
        expect(await refusal({ source, model_id: id })).toEqual({
          code: 'RESOURCE_DOES_NOT_EXIST',
          message: `Logged model with ID '${id}' not found.`,
        })
      }
    }
  })

  test('whose note of versions is not ours to extend is left alone', async () => {
    const { model_id } = await createRunAndModel(experiment_id)
    await server.client.loggedModels.setTags({
      model_id,
      tags: [{ key: 'mlflow.modelVersions', value: 'mine' }],
    })

    expect(await refusal({ source: `models:/${model_id}`, model_id })).toEqual({
      code: 'INVALID_PARAMETER_VALUE',
      message: `Tag 'mlflow.modelVersions' of logged model '${model_id}' is not a JSON list.`,
    })
  })
})

describe('another version', () => {
  beforeAll(async () => {
    const { registeredModels, modelVersions } = server.client
    await registeredModels.create({ name: 'base' })
    await modelVersions.create({ name: 'base', source: `models:/${model_id}`, model_id })
    await modelVersions.create({ name: 'base', source: 's3://b/2' })
    await modelVersions.transitionStage({ name: 'base', version: '1', stage: 'Staging' })
    await registeredModels.setAlias({ name: 'base', alias: 'best', version: '1' })
    await registeredModels.create({ name: 'empty' })
    const tags = [{ key: 'mlflow.prompt.is_prompt', value: 'true' }]
    await registeredModels.create({ name: 'prompt', tags })
    await modelVersions.create({ name: 'prompt', source: 'dummy-source', tags })
  })

  test.each(['models:/base/1', 'models:/base@best', 'models:/base/staging'])(
    '%s hands down its artifacts and its lineage',
    async (source) => {
      const { model } = await server.client.loggedModels.get({ model_id })

      expect(await create({ source })).toMatchObject({
        source: 'models:/base/1',
        run_id,
        model_id,
        artifact_uri: model.info.artifact_uri,
      })
    },
  )

  test.each(['models:/base/2', 'models:/base/latest', 'models:/base@latest'])(
    '%s is the version that it names at that moment',
    async (source) => {
      const version = await create({ source })

      expect(version).toMatchObject({ source: 'models:/base/2', artifact_uri: 's3://b/2' })
      expect(version.model_id).toBeUndefined()
    },
  )

  test('stands for where its own source was, when it was made of a third', async () => {
    const copied = await create({ source: 'models:/base/2' })

    const again = await create({ source: `models:/m/${copied.version}` })

    expect(again).toMatchObject({ source: `models:/m/${copied.version}`, artifact_uri: 's3://b/2' })
  })

  test('keeps its artifacts when its model is renamed or deleted afterwards', async () => {
    await server.client.registeredModels.create({ name: 'gone' })
    await server.client.modelVersions.create({ name: 'gone', source: 's3://b/gone' })
    const { version } = await create({ source: 'models:/gone/1' })
    await server.client.registeredModels.delete({ name: 'gone' })

    const { artifact_uri } = await server.client.modelVersions.getDownloadUri({
      name: 'm',
      version,
    })

    expect(artifact_uri).toBe('s3://b/gone')
  })

  test('takes the same ids again and no others', async () => {
    const source = 'models:/base/1'
    expect((await create({ source, run_id, model_id })).run_id).toBe(run_id)

    for (const ids of [{ run_id: 'other' }, { model_id: 'm-other' }, { run_id: '' }]) {
      expect((await refusal({ source, ...ids })).message).toBe(
        `Invalid model version source: '${source}'. The run_id and model_id request parameters must match the referenced model version.`,
      )
    }
  })

  const absent: [string, string, string][] = [
    ['models:/none/1', 'RESOURCE_DOES_NOT_EXIST', 'Registered Model with name=none not found'],
    ['models:/base/9', 'RESOURCE_DOES_NOT_EXIST', 'Model Version (name=base, version=9) not found'],
    ['models:/base@none', 'INVALID_PARAMETER_VALUE', 'Registered model alias none not found.'],
    ['models:/base/bogus', 'INVALID_PARAMETER_VALUE', 'Invalid Model Version stage: bogus.'],
    [
      'models:/base/Production',
      'RESOURCE_DOES_NOT_EXIST',
      "No versions of model with name 'base' and stage 'Production' found",
    ],
    [
      'models:/empty/latest',
      'RESOURCE_DOES_NOT_EXIST',
      "No versions of model with name 'empty' found",
    ],
    [
      'models:/prompt/1',
      'INVALID_PARAMETER_VALUE',
      'Prompt versions cannot be used as model version sources.',
    ],
    [
      'models://profile/base/1',
      'INVALID_PARAMETER_VALUE',
      'Registered model sources must use the active model registry.',
    ],
    ['models:/base/1/2', 'INVALID_PARAMETER_VALUE', unrelatedTo('model_id')],
    ['models:/', 'INVALID_PARAMETER_VALUE', unrelatedTo('model_id')],
  ]

  test.each(absent)('%s is refused', async (source, code, text) => {
    expect(await refusal({ source })).toEqual({ code, message: expect.stringContaining(text) })
  })
})

test('a source must match the pattern of whoever started the server', async () => {
  await using strict = await startServer((config) => ({
    ...config,
    settings: { ...config.settings, modelSourcePattern: '^s3://models/' },
  }))
  await strict.client.registeredModels.create({ name: 'm' })

  await strict.client.modelVersions.create({ name: 'm', source: 's3://models/a' })

  await expect(
    strict.client.modelVersions.create({ name: 'm', source: 's3://others/a' }),
  ).rejects.toMatchObject({
    code: 'INVALID_PARAMETER_VALUE',
    message: "Invalid model version source: 's3://others/a'.",
  })
})
