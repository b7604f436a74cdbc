import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'
import { insertTestRow } from '../search/test-rows.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

let created = 0

/** Creates a registered model with some versions and returns its name. */
async function createModel(versions = 0): Promise<string> {
  const name = `model ${created++}`
  await server.client.registeredModels.create({ name })
  for (let i = 0; i < versions; i++) {
    await server.client.modelVersions.create({ name, source: `s3://bucket/${name}/${i}` })
  }
  return name
}

async function getModel(name: string) {
  return (await server.client.registeredModels.get({ name })).registered_model
}

/** Runs SQL on the server's file, for what only older software or the past can have written. */
const invalid = (message: string) => ({ code: 'INVALID_PARAMETER_VALUE', message })
const missing = (name: string) => ({
  code: 'RESOURCE_DOES_NOT_EXIST',
  message: `Registered Model with name=${name} not found`,
})

describe('creating', () => {
  test('answers the model, of tags with one key the last', async () => {
    const { registered_model } = await server.client.registeredModels.create({
      name: 'created',
      description: 'first',
      tags: [{ key: 'b', value: '1' }, { key: 'a' }, { key: 'b', value: '2' }],
    })

    expect(registered_model).toEqual({
      name: 'created',
      description: 'first',
      creation_timestamp: expect.any(Number),
      last_updated_timestamp: registered_model.creation_timestamp,
      tags: [
        { key: 'a', value: '' },
        { key: 'b', value: '2' },
      ],
    })
    expect(await getModel('created')).toEqual(registered_model)
  })

  const promptTag = [{ key: 'mlflow.prompt.is_prompt', value: 'true' }]

  test.each([
    [[], [], 'Registered Model (name=N) already exists.'],
    [promptTag, promptTag, 'Prompt (name=N) already exists.'],
    [
      promptTag,
      [],
      "Tried to create a registered model with name 'N', but the name is already taken by a prompt. MLflow does not allow creating a model and a prompt with the same name.",
    ],
    [
      [],
      promptTag,
      "Tried to create a prompt with name 'N', but the name is already taken by a registered model. MLflow does not allow creating a model and a prompt with the same name.",
    ],
  ])(
    'a name that is taken is refused, and who has it said (%#)',
    async (first, second, message) => {
      const name = `taken ${created++}`
      await server.client.registeredModels.create({ name, tags: first })

      await expect(
        server.client.registeredModels.create({ name, tags: second }),
      ).rejects.toMatchObject({
        code: 'RESOURCE_ALREADY_EXISTS',
        message: message.replace('N', name),
      })
    },
  )

  const forbidden: [string, string][] = [
    ['', "Missing value for required parameter 'name'. See the API docs"],
    [' ', "Missing value for required parameter 'name'."],
    ['a/b', "Invalid model name 'a/b'. Names cannot contain '/' or ':'."],
    ['a:b', "Invalid model name 'a:b'. Names cannot contain '/' or ':'."],
    ['.', "This name would resolve to '.'"],
    ['..', "This name would resolve to '..'"],
    ['..a', "This name would resolve to '..a'"],
    ['a\0', 'Names cannot contain control characters.'],
    ['a\u0085', 'Names cannot contain control characters.'],
    ['a\ud800', 'Names cannot contain control characters.'],
    ['x'.repeat(257), "'name' exceeds the maximum length of 256 characters"],
  ]

  test.each(forbidden)(
    '%j is no name for a new model, nor for a renamed one',
    async (name, text) => {
      const refusal = { code: 'INVALID_PARAMETER_VALUE', message: expect.stringContaining(text) }
      await expect(server.client.registeredModels.create({ name })).rejects.toMatchObject(refusal)

      const old = await createModel()
      await expect(
        server.client.registeredModels.rename({ name: old, new_name: name }),
      ).rejects.toMatchObject({
        code: 'INVALID_PARAMETER_VALUE',
        message: expect.stringContaining(text.replace("parameter 'name'", "parameter 'new_name'")),
      })
      expect((await getModel(old)).name).toBe(old)
    },
  )

  test('names that look alike are names of their own, and each opens only its model', async () => {
    const names = ['a%2fb', 'a%252fb', 'a', 'A', 'a ', 'a.', 'a\u200b', '\u00e9', 'e\u0301']
    for (const name of names) {
      await server.client.registeredModels.create({ name, description: encodeURIComponent(name) })
    }

    for (const name of names) {
      expect(await getModel(name)).toMatchObject({ name, description: encodeURIComponent(name) })
    }
    await expect(getModel('a/b')).rejects.toMatchObject(
      invalid("Invalid model name 'a/b'. Names cannot contain '/' or ':'."),
    )
  })

  const badTags: [string, string, string][] = [
    ['bad$', 'v', `Invalid value "bad$" for parameter 'key' supplied: Names may only contain`],
    ['../x', 'v', `Invalid value "../x" for parameter 'key' supplied: Names may be treated as`],
    ['k'.repeat(251), 'v', "'key' exceeds the maximum length of 250 characters"],
    ['k', 'v'.repeat(100_001), "'value' exceeds the maximum length of 100000 characters"],
  ]

  test.each(badTags)(
    'a tag %.10s… is refused, and nothing is created',
    async (key, value, text) => {
      const name = `never ${created++}`
      const refusal = { code: 'INVALID_PARAMETER_VALUE', message: expect.stringContaining(text) }

      await expect(
        server.client.registeredModels.create({ name, tags: [{ key, value }] }),
      ).rejects.toMatchObject(refusal)

      await expect(getModel(name)).rejects.toMatchObject(missing(name))
      const other = await createModel()
      await expect(
        server.client.registeredModels.setTag({ name: other, key, value }),
      ).rejects.toMatchObject(refusal)
    },
  )
})

describe('a model that does not exist', () => {
  const name = 'no such model'
  const model = { name, key: 'k', value: 'v', alias: 'a', version: '1', new_name: 'other' }
  const version = {
    code: 'RESOURCE_DOES_NOT_EXIST',
    message: `Model Version (name=${name}, version=1) not found`,
  }

  test.each([
    ['get', missing(name)],
    ['update', missing(name)],
    ['rename', missing(name)],
    ['delete', missing(name)],
    ['setTag', missing(name)],
    ['deleteTag', missing(name)],
    ['getLatestVersions', missing(name)],
    ['deleteAlias', missing(name)],
    ['getVersionByAlias', missing(name)],
    ['setAlias', version],
  ] as const)('is not found by %s', async (endpoint, refusal) => {
    await expect(server.client.registeredModels[endpoint](model)).rejects.toMatchObject(refusal)
  })
})

test('a forbidden name that older software gave can be read, renamed and deleted', async () => {
  for (const name of ['old/one', 'old/two']) {
    await server.change((db) =>
      insertTestRow(db, 'registered_model', {
        workspace: 'default',
        name,
        description: null,
        creation_time: 1,
        last_updated_time: 1,
        last_version: 0,
        is_prompt: 0,
      }),
    )
  }

  expect((await getModel('old/one')).name).toBe('old/one')
  await server.client.registeredModels.rename({ name: 'old/one', new_name: 'new one' })
  await server.client.registeredModels.delete({ name: 'old/two' })

  expect((await getModel('new one')).creation_timestamp).toBe(1)
  await expect(getModel('old/two')).rejects.toMatchObject(
    invalid("Invalid model name 'old/two'. Names cannot contain '/' or ':'."),
  )
})

describe('changing', () => {
  test('an update without a description removes it', async () => {
    const name = await createModel()
    await server.client.registeredModels.update({ name, description: 'text' })
    expect((await getModel(name)).description).toBe('text')

    const { registered_model } = await server.client.registeredModels.update({ name })

    expect(registered_model.description).toBeUndefined()
  })

  test('renaming takes versions, tags and aliases along and frees the old name', async () => {
    const name = await createModel(2)
    await server.client.registeredModels.setTag({ name, key: 'k', value: 'v' })
    await server.client.registeredModels.setAlias({ name, alias: 'champion', version: '1' })
    const new_name = `${name} renamed`
    await server.change((db) =>
      db.updateTable('model_version').set({ last_updated_time: 1 }).execute(),
    )

    const { registered_model } = await server.client.registeredModels.rename({ name, new_name })

    const { last_updated_timestamp } = registered_model
    expect(last_updated_timestamp).toBeGreaterThan(1)
    expect(await getModel(new_name)).toMatchObject({
      latest_versions: [{ name: new_name, version: '2', last_updated_timestamp }],
      tags: [{ key: 'k', value: 'v' }],
      aliases: [{ alias: 'champion', version: '1' }],
    })
    await expect(getModel(name)).rejects.toMatchObject(missing(name))
    await server.client.registeredModels.create({ name })
  })

  test('renaming to a name that is taken is refused; to its own it is fine', async () => {
    const [name, other] = [await createModel(), await createModel()]

    await expect(
      server.client.registeredModels.rename({ name, new_name: other }),
    ).rejects.toMatchObject({
      code: 'RESOURCE_ALREADY_EXISTS',
      message: `Registered Model (name=${other}) already exists.`,
    })
    await server.client.registeredModels.rename({ name, new_name: name })
  })

  test('deleting takes everything, and a new model of that name starts at version 1', async () => {
    const name = await createModel(2)
    await server.client.registeredModels.setAlias({ name, alias: 'a', version: '1' })
    await server.client.registeredModels.setTag({ name, key: 'k', value: 'v' })

    await server.client.registeredModels.delete({ name })

    await expect(getModel(name)).rejects.toMatchObject(missing(name))
    await server.client.registeredModels.create({ name })
    const { model_version } = await server.client.modelVersions.create({ name, source: 's3://b/k' })
    expect(model_version.version).toBe('1')
    expect(Object.keys(await getModel(name)).sort()).toEqual([
      'creation_timestamp',
      'last_updated_timestamp',
      'latest_versions',
      'name',
    ])
  })

  test('a tag can be set twice and deleted twice', async () => {
    const name = await createModel()
    for (const value of ['1', '2']) {
      await server.client.registeredModels.setTag({ name, key: 'k', value })
    }
    await server.client.registeredModels.setTag({ name, key: 'empty' })
    expect((await getModel(name)).tags).toEqual([
      { key: 'empty', value: '' },
      { key: 'k', value: '2' },
    ])

    for (const key of ['k', 'k', 'empty']) {
      await server.client.registeredModels.deleteTag({ name, key })
    }

    expect((await getModel(name)).tags).toBeUndefined()
  })

  const { registeredModels, modelVersions } = {
    registeredModels: () => server.client.registeredModels,
    modelVersions: () => server.client.modelVersions,
  }
  const moves: [string, boolean, (name: string) => Promise<unknown>][] = [
    ['update', true, (name) => registeredModels().update({ name, description: 'd' })],
    ['rename', true, (name) => registeredModels().rename({ name, new_name: name })],
    ['set a tag', false, (name) => registeredModels().setTag({ name, key: 'k', value: 'v' })],
    [
      'set an alias',
      false,
      (name) => registeredModels().setAlias({ name, alias: 'a', version: '1' }),
    ],
    ['create a version', true, (name) => modelVersions().create({ name, source: 's3://b/k' })],
    ['update a version', false, (name) => modelVersions().update({ name, version: '1' })],
    [
      'move a version',
      true,
      (name) => modelVersions().transitionStage({ name, version: '1', stage: 'Staging' }),
    ],
    ['delete a version', true, (name) => modelVersions().delete({ name, version: '1' })],
  ]

  test.each(moves)('to %s counts as an update of the model: %s', async (_, isUpdate, change) => {
    const name = await createModel(1)
    await server.change((db) =>
      db
        .updateTable('registered_model')
        .set({ last_updated_time: 1 })
        .where('name', '=', name)
        .execute(),
    )

    await change(name)

    expect(Number((await getModel(name)).last_updated_timestamp) > 1).toBe(isUpdate)
  })
})

describe('latest versions', () => {
  async function createStaged() {
    const name = await createModel(6)
    const stages = ['Archived', 'Production', 'Archived', 'Production', 'Staging']
    for (const [index, stage] of stages.entries()) {
      const version = String(index + 1)
      await server.client.modelVersions.transitionStage({ name, version, stage })
    }
    return name
  }

  test('are the highest of each stage, in the order in which stages are first met', async () => {
    const name = await createStaged()

    const { model_versions = [] } = await server.client.registeredModels.getLatestVersions({ name })

    const expected = ['3 Archived', '4 Production', '5 Staging', '6 None']
    expect(model_versions.map((each) => `${each.version} ${each.current_stage}`)).toEqual(expected)
    const { latest_versions = [] } = await getModel(name)
    expect(latest_versions.map((each) => `${each.version} ${each.current_stage}`)).toEqual(expected)
  })

  test('can be asked for by stage in any case, with POST and with GET', async () => {
    const name = await createStaged()
    const stages = ['PRODUCTION', 'none']

    const { model_versions = [] } = await server.client.registeredModels.getLatestVersions({
      name,
      stages,
    })
    const response = await server.http.inject({
      url: '/api/2.0/mlflow/registered-models/get-latest-versions',
      query: { name, stages },
    })

    expect(model_versions.map(({ version }) => version)).toEqual(['4', '6'])
    expect(response.json()).toEqual({ model_versions })
  })

  test('of a stage that does not exist are refused; of an empty one there are none', async () => {
    const name = await createModel(1)

    expect(
      await server.client.registeredModels.getLatestVersions({ name, stages: ['Staging'] }),
    ).toEqual({})
    await expect(
      server.client.registeredModels.getLatestVersions({ name, stages: ['bogus'] }),
    ).rejects.toMatchObject(
      invalid(
        'Invalid Model Version stage: bogus. Value must be one of None, Staging, Production, Archived.',
      ),
    )
  })
})

describe('an alias', () => {
  test('names one version at a time', async () => {
    const name = await createModel(2)
    for (const version of ['1', '2', '2']) {
      await server.client.registeredModels.setAlias({ name, alias: 'champion', version })
    }

    const { model_version } = await server.client.registeredModels.getVersionByAlias({
      name,
      alias: 'champion',
    })

    expect(model_version).toMatchObject({ version: '2', aliases: ['champion'] })
    expect((await getModel(name)).aliases).toEqual([{ alias: 'champion', version: '2' }])
  })

  test('is found as it was spelt', async () => {
    const name = await createModel(1)
    await server.client.registeredModels.setAlias({ name, alias: 'Champion', version: '1' })

    await expect(
      server.client.registeredModels.getVersionByAlias({ name, alias: 'champion' }),
    ).rejects.toMatchObject(invalid('Registered model alias champion not found.'))
  })

  test('goes with its version, and can be deleted twice', async () => {
    const name = await createModel(2)
    await server.client.registeredModels.setAlias({ name, alias: 'a', version: '1' })
    await server.client.registeredModels.setAlias({ name, alias: 'b', version: '2' })
    await server.client.modelVersions.delete({ name, version: '1' })
    expect((await getModel(name)).aliases).toEqual([{ alias: 'b', version: '2' }])

    for (const alias of ['b', 'b'])
      await server.client.registeredModels.deleteAlias({ name, alias })

    expect((await getModel(name)).aliases).toBeUndefined()
  })

  test.each([
    ['latest', "'latest' alias name (case insensitive) is reserved."],
    ['LaTest', "'latest' alias name (case insensitive) is reserved."],
    ['v1', "Version alias name 'v1' is reserved."],
    ['V22', "Version alias name 'V22' is reserved."],
    [
      'a b',
      "Invalid alias name: 'a b'. Names may only contain alphanumerics, underscores (_), and dashes (-).",
    ],
    [
      'a/b',
      "Invalid alias name: 'a/b'. Names may only contain alphanumerics, underscores (_), and dashes (-).",
    ],
    ['x'.repeat(256), "'Registered model alias name' exceeds the maximum length of 255 characters"],
  ])('cannot be %.12s', async (alias, message) => {
    const name = await createModel(1)

    await expect(
      server.client.registeredModels.setAlias({ name, alias, version: '1' }),
    ).rejects.toMatchObject(invalid(message))
  })

  test.each(['v1x', 'é_-1', 'x'.repeat(255)])('can be %.12s', async (alias) => {
    const name = await createModel(1)
    await server.client.registeredModels.setAlias({ name, alias, version: '1' })

    expect((await getModel(name)).aliases).toEqual([{ alias, version: '1' }])
  })

  test.each([
    ['9', 'RESOURCE_DOES_NOT_EXIST', 'Model Version (name=N, version=9) not found'],
    ['x', 'INVALID_PARAMETER_VALUE', "Parameter 'version' must be an integer, got 'x'."],
  ])('cannot name version %s', async (version, code, message) => {
    const name = await createModel(1)

    await expect(
      server.client.registeredModels.setAlias({ name, alias: 'a', version }),
    ).rejects.toMatchObject({ code, message: message.replace('N', name) })
  })

  test('latest is the highest version of all stages, if there is one', async () => {
    const name = await createModel(2)
    await server.client.modelVersions.transitionStage({ name, version: '1', stage: 'Production' })
    const latest = (name: string) =>
      server.client.registeredModels.getVersionByAlias({ name, alias: 'Latest' })

    expect((await latest(name)).model_version.version).toBe('2')
    const empty = await createModel()
    await expect(latest(empty)).rejects.toMatchObject({
      code: 'RESOURCE_DOES_NOT_EXIST',
      message: `Latest version not found for model ${empty}.`,
    })
  })
})

describe('searching', () => {
  let own: TestServer
  beforeAll(async () => {
    own = await startServer()
    for (const name of ['a', 'b', 'c', 'd', 'e']) await own.client.registeredModels.create({ name })
  })
  afterAll(() => own.close())

  async function search(
    input: { filter?: string; max_results?: number; page_token?: string } = {},
  ) {
    const { registered_models = [], next_page_token } =
      await own.client.registeredModels.search(input)
    return { names: registered_models.map(({ name }) => name).join(''), next_page_token }
  }

  test.each(['search', 'list'] as const)(
    '%s pages by name without gaps while models come and go',
    async (endpoint) => {
      const page = (page_token?: string) =>
        own.client.registeredModels[endpoint]({ max_results: 2, ...(page_token && { page_token }) })
      const first = await page()
      await own.client.registeredModels.delete({ name: 'a' })
      await own.client.registeredModels.create({ name: 'aa' })

      const second = await page(first.next_page_token)
      await own.client.registeredModels.create({ name: 'a' })
      const third = await page(second.next_page_token)

      const names = [first, second, third].map(({ registered_models = [] }) =>
        registered_models.map(({ name }) => name),
      )
      expect(names).toEqual([['a', 'b'], ['c', 'd'], ['e']])
      expect(third.next_page_token).toBeUndefined()
      await own.client.registeredModels.delete({ name: 'aa' })
    },
  )

  test('hides prompts unless the filter asks for them, whatever made them prompts', async () => {
    const isPrompt = { key: 'mlflow.prompt.is_prompt', value: 'true' }
    await own.client.registeredModels.create({ name: 'p', tags: [isPrompt] })
    await own.client.registeredModels.setTag({ name: 'e', ...isPrompt })

    expect((await search()).names).toBe('abcd')
    expect((await search({ filter: "tags.`mlflow.prompt.is_prompt` = 'true'" })).names).toBe('ep')
    await own.client.registeredModels.setTag({ name: 'e', key: isPrompt.key, value: 'false' })
    await own.client.registeredModels.deleteTag({ name: 'p', key: isPrompt.key })
    expect((await search()).names).toBe('abcdep')
    await own.client.registeredModels.delete({ name: 'p' })
  })

  test('finds by name and says nothing but {} when there is nothing', async () => {
    expect((await search({ filter: "name ILIKE 'B'" })).names).toBe('b')
    expect(await own.client.registeredModels.search({ filter: "name = 'zzz'" })).toEqual({})
  })

  test.each([
    [{ max_results: 1001 }, 'It must be at most 1000, but got value 1001'],
    [{ max_results: 0 }, 'It must be a positive integer, but got 0'],
    [{ max_results: -1 }, 'It must be a positive integer, but got -1'],
    [{ filter: "creator = 'x'" }, "Invalid attribute key 'creator' specified."],
    [{ filter: "name > 'x'" }, 'Invalid comparator for attribute: >'],
    [{ page_token: '!' }, 'Invalid page token, could not base64-decode'],
  ])('%j is refused', async (input, text) => {
    await expect(search(input)).rejects.toMatchObject({
      code: 'INVALID_PARAMETER_VALUE',
      message: expect.stringContaining(text),
    })
  })
})
