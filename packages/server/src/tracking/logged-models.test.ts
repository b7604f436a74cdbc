import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'

let server: TestServer
let experiment_id: string
beforeAll(async () => {
  server = await startServer()
  experiment_id = await createExperiment('logged models')
})
afterAll(() => server.close())

async function createExperiment(name: string) {
  return (await server.client.experiments.create({ name })).experiment_id
}

type NewModel = Omit<Parameters<typeof server.client.loggedModels.create>[0], 'experiment_id'>

async function createModel(input: NewModel = {}, experiment = experiment_id) {
  const { model } = await server.client.loggedModels.create({ experiment_id: experiment, ...input })
  return model.info.model_id
}

async function getModel(model_id: string) {
  return (await server.client.loggedModels.get({ model_id })).model
}

async function createRun() {
  return (await server.client.runs.create({ experiment_id })).run.info.run_id
}

/** Makes every model look as if it had last been changed at the beginning of time. */
function forgetChanges() {
  return server.change((db) =>
    db.updateTable('logged_model').set({ last_updated_time: 1 }).execute(),
  )
}

const invalid = (message: string) => ({ code: 'INVALID_PARAMETER_VALUE', message })
const missing = (model_id: string) => ({
  code: 'RESOURCE_DOES_NOT_EXIST',
  message: `Logged model with ID '${model_id}' not found.`,
})

describe('creating', () => {
  test('answers a pending model with a place for its artifacts', async () => {
    const { model } = await server.client.loggedModels.create({
      experiment_id,
      name: 'first',
      model_type: 'agent',
      source_run_id: 'run',
      params: [
        { key: 'depth', value: '3' },
        { key: 'any $key?', value: '' },
      ],
      tags: [{ key: 'a', value: '1' }, { key: 'b' }, { key: 'a', value: '2' }],
    })

    const { model_id } = model.info
    expect(model_id).toMatch(/^m-[0-9a-f]{32}$/)
    expect(model).toEqual({
      info: {
        model_id,
        experiment_id,
        name: 'first',
        creation_timestamp_ms: expect.any(Number),
        last_updated_timestamp_ms: model.info.creation_timestamp_ms,
        artifact_uri: `mlflow-artifacts:/${experiment_id}/models/${model_id}/artifacts`,
        status: 'LOGGED_MODEL_PENDING',
        model_type: 'agent',
        source_run_id: 'run',
        tags: [
          { key: 'a', value: '2' },
          { key: 'b', value: '' },
        ],
      },
      data: {
        params: [
          { key: 'any $key?', value: '' },
          { key: 'depth', value: '3' },
        ],
      },
    })
    expect(await getModel(model_id)).toEqual(model)
  })

  test('gives a model without a name a random one, and leaves the rest empty', async () => {
    for (const input of [{}, { name: '' }]) {
      const { info, data } = await getModel(await createModel(input))

      expect(info.name).toMatch(/^[a-z]+-[a-z]+-\d{1,3}$/)
      expect(info).toMatchObject({ model_type: '', source_run_id: '' })
      expect(data).toEqual({})
    }
  })

  test.each(['a/b', 'a:b', 'a.b', 'a%b', 'a"b', "a'b"])('%s is no name', async (name) => {
    const shown = name.includes("'") ? `"${name}"` : `'${name}'`

    await expect(createModel({ name })).rejects.toMatchObject(
      invalid(
        `Invalid model name (${shown}) provided. Model name must be a non-empty string and cannot contain the following characters: ('/', ':', '.', '%', '"', "'")`,
      ),
    )
  })

  test.each([
    [{ name: 'n'.repeat(501) }, "'name' exceeds the maximum length of 500 characters"],
    [{ model_type: 'n'.repeat(501) }, "'model_type' exceeds the maximum length of 500 characters"],
    [
      { tags: [{ key: 'k'.repeat(256) }] },
      "'tags[0].key' exceeds the maximum length of 255 characters",
    ],
    [
      { params: [{ key: 'a' }, { key: 'k', value: 'v'.repeat(100_001) }] },
      "'params[1].value' exceeds the maximum length of 100000 characters",
    ],
  ])('%.40j… is too long', async (input, message) => {
    await expect(createModel(input)).rejects.toMatchObject(invalid(message))
  })

  test('needs an experiment that is there', async () => {
    const deleted = await createExperiment('deleted')
    await server.client.experiments.delete({ experiment_id: deleted })

    await expect(createModel({}, '999999')).rejects.toMatchObject({
      code: 'RESOURCE_DOES_NOT_EXIST',
      message: 'No Experiment with id=999999 exists',
    })
    await expect(createModel({}, deleted)).rejects.toMatchObject(
      invalid(`The experiment ${deleted} must be in the 'active' state. Current state is deleted.`),
    )
    await expect(createModel({}, 'abc')).rejects.toMatchObject(
      invalid("Invalid experiment ID 'abc'. Experiment ID must be a valid integer."),
    )
  })

  test('stores nothing of a model whose params contradict each other', async () => {
    const name = 'contradiction'

    await expect(
      createModel({
        name,
        params: [
          { key: 'p', value: '1' },
          { key: 'p', value: '2' },
        ],
      }),
    ).rejects.toMatchObject({ code: 'BAD_REQUEST' })

    const filter = `name = '${name}'`
    expect(
      await server.client.loggedModels.search({ experiment_ids: [experiment_id], filter }),
    ).toEqual({})
  })
})

describe('a model that does not exist', () => {
  const model_id = 'm-0123456789abcdef0123456789abcdef'
  const input = { model_id, status: 'LOGGED_MODEL_READY', tag_key: 'k', tags: [], params: [] }

  test.each([
    'get',
    'finalize',
    'delete',
    'setTags',
    'deleteTag',
    'logParams',
    'listArtifacts',
  ] as const)('is not found by %s', async (call) => {
    await expect(server.client.loggedModels[call](input)).rejects.toMatchObject(missing(model_id))
  })
})

test.each(['one point', 'a batch'])(
  'a model that does not exist gets no points: %s is refused',
  async (what) => {
    const { run_id } = (await server.client.runs.create({ experiment_id })).run.info
    const point = { key: 'm', value: 1, timestamp: 1, model_id: 'm-nowhere' }

    const logged =
      what === 'one point'
        ? server.client.runs.logMetric({ run_id, ...point })
        : server.client.runs.logBatch({ run_id, metrics: [point] })

    await expect(logged).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      message: "Logged model with ID 'm-nowhere' not found.",
    })
    expect((await server.client.runs.get({ run_id })).run.data.metrics ?? []).toEqual([])
  },
)

describe('finalizing', () => {
  test.each([
    ['LOGGED_MODEL_READY', 'LOGGED_MODEL_READY'],
    ['LOGGED_MODEL_UPLOAD_FAILED', 'LOGGED_MODEL_UPLOAD_FAILED'],
    [2, 'LOGGED_MODEL_READY'],
  ])('with %s makes it %s, which is an update', async (status, shown) => {
    const model_id = await createModel()
    await forgetChanges()

    const { model } = await server.client.loggedModels.finalize({ model_id, status })

    expect(model.info.status).toBe(shown)
    expect(model.info.last_updated_timestamp_ms).toBeGreaterThan(1)
    expect(await getModel(model_id)).toEqual(model)
  })

  const status = (value: string) => `${value} for required parameter 'status'`
  test.each([
    [{}, status('Missing value')],
    [{ status: 'BOGUS' }, status('Missing value')],
    [{ status: 'READY' }, status('Missing value')],
    [{ status: 9 }, "Invalid value 9 for parameter 'status'"],
  ])('with %j is refused and changes nothing', async (input, message) => {
    const model_id = await createModel()

    await expect(server.client.loggedModels.finalize({ model_id, ...input })).rejects.toMatchObject(
      {
        code: 'INVALID_PARAMETER_VALUE',
        message: expect.stringContaining(message),
      },
    )
    expect((await getModel(model_id)).info.status).toBe('LOGGED_MODEL_PENDING')
  })
})

describe('a deleted model', () => {
  test('is hidden from everyone who does not ask for deleted ones', async () => {
    const model_id = await createModel({ name: 'to delete' })
    for (const _ of ['first', 'again']) await server.client.loggedModels.delete({ model_id })

    const filter = "name = 'to delete'"
    expect(
      await server.client.loggedModels.search({ experiment_ids: [experiment_id], filter }),
    ).toEqual({})
    await expect(getModel(model_id)).rejects.toMatchObject(missing(model_id))
    await expect(server.client.loggedModels.listArtifacts({ model_id })).rejects.toMatchObject(
      missing(model_id),
    )
    const { model } = await server.client.loggedModels.get({ model_id, allow_deleted: true })
    expect(model.info.name).toBe('to delete')
  })

  test('can still be finished by the client that is uploading it', async () => {
    const model_id = await createModel()
    await server.client.loggedModels.delete({ model_id })

    const status = 'LOGGED_MODEL_READY'
    const { model } = await server.client.loggedModels.finalize({ model_id, status })
    await server.client.loggedModels.setTags({ model_id, tags: [{ key: 'k', value: 'v' }] })

    expect(model.info.status).toBe(status)
  })
})

describe('tags', () => {
  test('are set and set again, the last of a request winning', async () => {
    const model_id = await createModel({ tags: [{ key: 'a', value: '1' }] })
    const tags = [
      { key: 'a', value: '2' },
      { key: 'any $key?', value: '1' },
      { key: 'a', value: '3' },
    ]
    for (const _ of ['first', 'again']) {
      expect(await server.client.loggedModels.setTags({ model_id, tags })).toEqual({})
    }

    expect((await getModel(model_id)).info.tags).toEqual([
      { key: 'a', value: '3' },
      { key: 'any $key?', value: '1' },
    ])
  })

  test('are deleted by any key, once', async () => {
    const keys = ['plain', 'with/slash', 'a b%2Fé?']
    const model_id = await createModel({ tags: keys.map((key) => ({ key })) })
    for (const tag_key of keys) await server.client.loggedModels.deleteTag({ model_id, tag_key })

    expect((await getModel(model_id)).info.tags).toBeUndefined()
    await expect(
      server.client.loggedModels.deleteTag({ model_id, tag_key: 'plain' }),
    ).rejects.toMatchObject({
      code: 'RESOURCE_DOES_NOT_EXIST',
      message: `No tag with key 'plain' found for model with ID '${model_id}'.`,
    })
  })
})

describe('params', () => {
  test('can be added, and added again with the same value', async () => {
    const model_id = await createModel({ params: [{ key: 'a', value: '1' }] })
    const params = [
      { key: 'a', value: '1' },
      { key: 'b', value: '2' },
    ]
    for (const _ of ['first', 'again']) {
      await server.client.loggedModels.logParams({ model_id, params })
    }

    expect((await getModel(model_id)).data.params).toEqual(params)
  })

  test('with another value are refused, and then none of the request is stored', async () => {
    const model_id = await createModel({ params: [{ key: 'a', value: '1' }] })
    const params = [
      { key: 'b', value: '2' },
      { key: 'a', value: '2' },
    ]

    await expect(server.client.loggedModels.logParams({ model_id, params })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      message: `Param 'a' of logged model '${model_id}' already has the value '1'; it cannot be changed to '2'.`,
    })
    expect((await getModel(model_id)).data.params).toEqual([{ key: 'a', value: '1' }])
  })
})

test('metrics of a model are the points that runs logged for it', async () => {
  const [model_id, other] = [await createModel(), await createModel()]
  const run_id = await createRun()
  const metrics = [
    {
      key: 'acc',
      value: 0.5,
      timestamp: 2,
      step: 1,
      model_id,
      dataset_name: 'd',
      dataset_digest: 'x',
    },
    { key: 'acc', value: 'NaN', timestamp: 3, step: 2, model_id },
    { key: 'acc', value: 0.25, timestamp: 1, step: 0, model_id: other },
    { key: 'acc', value: 0.125, timestamp: 1, step: 0 },
  ]
  for (const _ of ['first', 'again']) await server.client.runs.logBatch({ run_id, metrics })

  const { data } = await getModel(model_id)

  expect(data.metrics).toEqual([
    {
      key: 'acc',
      value: 0.5,
      timestamp: 2,
      step: 1,
      model_id,
      dataset_name: 'd',
      dataset_digest: 'x',
      run_id,
    },
    { key: 'acc', value: 'NaN', timestamp: 3, step: 2, model_id, run_id },
  ])
})

describe('artifacts', () => {
  test('are listed one directory at a time, relative to the model', async () => {
    const model_id = await createModel()
    const { artifact_uri } = (await getModel(model_id)).info
    const directory = join(
      server.config.settings.artifactsDestination,
      artifact_uri.replace('mlflow-artifacts:/', ''),
    )
    mkdirSync(join(directory, 'data'), { recursive: true })
    writeFileSync(join(directory, 'MLmodel'), 'x')
    writeFileSync(join(directory, 'data', 'weights'), 'xyz')
    const list = (artifact_directory_path?: string) =>
      server.client.loggedModels.listArtifacts({
        model_id,
        ...(artifact_directory_path && { artifact_directory_path }),
      })

    expect(await list()).toEqual({
      root_uri: artifact_uri,
      files: [
        { path: 'MLmodel', is_dir: false, file_size: 1 },
        { path: 'data', is_dir: true },
      ],
    })
    expect((await list('data')).files).toEqual([
      { path: 'data/weights', is_dir: false, file_size: 3 },
    ])
    expect(await list('none')).toEqual({ root_uri: artifact_uri })
  })

  test.each(['../x', '..%2fx', '/etc', 'a/../..', 'a\\..\\b'])(
    '%s is no directory',
    async (path) => {
      const model_id = await createModel()

      await expect(
        server.client.loggedModels.listArtifacts({ model_id, artifact_directory_path: path }),
      ).rejects.toMatchObject(invalid('Invalid path'))
    },
  )
})

describe('searching', () => {
  let own: string
  const ids: string[] = []
  beforeAll(async () => {
    own = await createExperiment('searched')
    for (const name of ['a', 'b', 'c', 'd', 'e']) ids.push(await createModel({ name }, own))
  })

  type Input = Omit<Parameters<typeof server.client.loggedModels.search>[0], 'experiment_ids'>

  async function search(input: Input = {}) {
    const { models = [], next_page_token } = await server.client.loggedModels.search({
      experiment_ids: [own],
      order_by: [{ field_name: 'name' }],
      ...input,
    })
    return { names: models.map(({ info }) => info.name).join(''), next_page_token }
  }

  test('pages without gaps while models come and go', async () => {
    const first = await search({ max_results: 2 })
    await server.client.loggedModels.delete({ model_id: ids[0] ?? '' })
    await createModel({ name: 'aa' }, own)

    const page_token = first.next_page_token ?? ''
    const second = await search({ max_results: 2, page_token })
    const third = await search({ max_results: 2, page_token: second.next_page_token ?? '' })

    expect([first.names, second.names, third.names]).toEqual(['ab', 'cd', 'e'])
    expect(third.next_page_token).toBeUndefined()
  })

  test('shows params, tags and metrics of each model and of no other', async () => {
    const [, b = '', c = ''] = ids
    const run_id = await createRun()
    await server.client.loggedModels.logParams({ model_id: b, params: [{ key: 'p', value: 'b' }] })
    await server.client.loggedModels.setTags({ model_id: c, tags: [{ key: 't', value: 'c' }] })
    await server.client.runs.logMetric({
      run_id,
      key: 'x',
      value: 1,
      timestamp: 1,
      model_id: c,
    })

    const { models = [] } = await server.client.loggedModels.search({
      experiment_ids: [own],
      filter: "name IN ('b', 'c')",
      order_by: [{ field_name: 'name' }],
    })

    expect(models).toEqual([await getModel(b), await getModel(c)])
    expect(models.map(({ data }) => Object.keys(data))).toEqual([['params'], ['metrics']])
  })

  test('takes 50 unless told, and as many as there are of too many', async () => {
    const many = await createExperiment('many')
    await Promise.all(Array.from({ length: 51 }, () => createModel({}, many)))
    const count = async (input: Input) => {
      const found = await server.client.loggedModels.search({ experiment_ids: [many], ...input })
      return [found.models?.length, found.next_page_token !== undefined]
    }

    expect(await count({})).toEqual([50, true])
    expect(await count({ max_results: 0 })).toEqual([50, true])
    expect(await count({ max_results: 1_000_000 })).toEqual([51, false])
  })

  test.each([
    [{ max_results: -1 }, "Invalid value -1 for parameter 'max_results' supplied."],
    [{ filter: 'a or b' }, "Invalid filter string: 'a or b'."],
    [{ filter: "x.y = 'b'" }, "Invalid entity type: 'x'."],
    [{ order_by: [{ field_name: 'foo' }] }, 'Invalid order by field name: foo'],
    [{ datasets: [{}] }, '`dataset_name` in the `datasets` clause must be specified.'],
    [{ page_token: '!' }, 'Invalid page token'],
  ])('%j is refused', async (input, text) => {
    await expect(search(input)).rejects.toMatchObject({
      code: 'INVALID_PARAMETER_VALUE',
      message: expect.stringContaining(text),
    })
  })

  test('needs experiments; in none, or in an unknown one, there is nothing', async () => {
    await expect(server.client.loggedModels.search({})).rejects.toMatchObject({
      code: 'INVALID_PARAMETER_VALUE',
      message: expect.stringContaining("Missing value for required parameter 'experiment_ids'."),
    })
    for (const experiment_ids of [[], ['999999']]) {
      expect(await server.client.loggedModels.search({ experiment_ids })).toEqual({})
    }
  })
})
