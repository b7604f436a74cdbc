import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'

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
  for (let i = 0; i < versions; i++) await createVersion(name)
  return name
}

async function createVersion(name: string, input: { description?: string } = {}) {
  const source = 's3://bucket/key'
  return (await server.client.modelVersions.create({ name, source, ...input })).model_version
}

async function getVersion(name: string, version = '1') {
  return (await server.client.modelVersions.get({ name, version })).model_version
}

/** Makes every version look as if it had last been changed at the beginning of time. */
function forgetChanges() {
  return server.change((db) =>
    db.updateTable('model_version').set({ last_updated_time: 1 }).execute(),
  )
}

const invalid = (message: string) => ({ code: 'INVALID_PARAMETER_VALUE', message })
const missing = (name: string, version: string) => ({
  code: 'RESOURCE_DOES_NOT_EXIST',
  message: `Model Version (name=${name}, version=${version}) not found`,
})

describe('creating', () => {
  test('answers the version, ready at once and in no stage', async () => {
    const name = await createModel()

    const { model_version } = await server.client.modelVersions.create({
      name,
      source: 's3://bucket/key',
      run_id: 'run',
      run_link: 'http://host/run',
      description: 'text',
      tags: [{ key: 'b', value: '1' }, { key: 'a' }, { key: 'b', value: '2' }],
    })

    expect(model_version).toEqual({
      name,
      version: '1',
      creation_timestamp: expect.any(Number),
      last_updated_timestamp: model_version.creation_timestamp,
      current_stage: 'None',
      description: 'text',
      source: 's3://bucket/key',
      run_id: 'run',
      status: 'READY',
      run_link: 'http://host/run',
      tags: [
        { key: 'a', value: '' },
        { key: 'b', value: '2' },
      ],
    })
    expect(await getVersion(name)).toEqual(model_version)
  })

  test('leaves what was not given empty, as clients of all generations expect', async () => {
    const version = await createVersion(await createModel())

    expect(version).toMatchObject({ description: '', run_id: '', run_link: '' })
    expect(Object.keys(version)).not.toContain('tags')
    expect(Object.keys(version)).not.toContain('aliases')
  })

  test('counts up, and never gives out the number of a deleted version again', async () => {
    const name = await createModel(3)
    await server.client.modelVersions.delete({ name, version: '3' })
    await server.client.modelVersions.delete({ name, version: '1' })

    expect((await createVersion(name)).version).toBe('4')
  })

  test('at the same time gives every version a number of its own', async () => {
    const name = await createModel()

    const versions = await Promise.all(Array.from({ length: 20 }, () => createVersion(name)))

    const numbers = versions.map(({ version }) => Number(version)).sort((a, b) => a - b)
    expect(numbers).toEqual(Array.from({ length: 20 }, (_, index) => index + 1))
  })

  test.each([
    [
      { name: 'no such model' },
      'RESOURCE_DOES_NOT_EXIST',
      'Registered Model with name=no such model not found',
    ],
    [
      { name: 'a/b' },
      'INVALID_PARAMETER_VALUE',
      "Invalid model name 'a/b'. Names cannot contain '/' or ':'.",
    ],
    [
      { name: '' },
      'INVALID_PARAMETER_VALUE',
      "Missing value for required parameter 'name'. See the API docs for more information about request parameters.",
    ],
    [
      { source: '' },
      'INVALID_PARAMETER_VALUE',
      "Missing value for required parameter 'source'. See the API docs for more information about request parameters.",
    ],
    [
      { tags: [{ key: 'k', value: 'v'.repeat(100_001) }] },
      'INVALID_PARAMETER_VALUE',
      "'value' exceeds the maximum length of 100000 characters",
    ],
    [
      { tags: [{ key: 'mlflow.prompt.text', value: 'v'.repeat(100_001) }] },
      'INVALID_PARAMETER_VALUE',
      'Prompt text exceeds max length of 100000 characters.',
    ],
    [
      { tags: [{ key: 'bad$', value: '' }] },
      'INVALID_PARAMETER_VALUE',
      `Invalid value "bad$" for parameter 'key' supplied: Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).`,
    ],
  ])('%.60j is refused, and uses up no number', async (change, code, message) => {
    const name = await createModel()

    await expect(
      server.client.modelVersions.create({ name, source: 's3://b/k', ...change }),
    ).rejects.toMatchObject({ code, message })

    expect((await createVersion(name)).version).toBe('1')
  })
})

describe('a version that does not exist', () => {
  const calls = [
    'get',
    'update',
    'delete',
    'getDownloadUri',
    'setTag',
    'deleteTag',
    'transitionStage',
  ] as const
  const rest = { key: 'k', value: 'v', stage: 'Staging' }

  test.each(calls)('is not found by %s, whether it was deleted or never was', async (call) => {
    const name = await createModel(1)
    await server.client.modelVersions.delete({ name, version: '1' })

    for (const version of ['1', '2', '-1', '99999999999999999999']) {
      await expect(
        server.client.modelVersions[call]({ name, version, ...rest }),
      ).rejects.toMatchObject(missing(name, version))
    }
    await expect(
      server.client.modelVersions[call]({ name: 'no such model', version: '1', ...rest }),
    ).rejects.toMatchObject(missing('no such model', '1'))
  })

  test.each(calls)('is refused by %s when no version could be called that', async (call) => {
    const name = await createModel(1)

    for (const version of ['abc', '1.0', '1e0']) {
      await expect(
        server.client.modelVersions[call]({ name, version, ...rest }),
      ).rejects.toMatchObject(invalid(`Parameter 'version' must be an integer, got '${version}'.`))
    }
    await expect(
      server.client.modelVersions[call]({ name: 'a/b', version: '1', ...rest }),
    ).rejects.toMatchObject(invalid("Invalid model name 'a/b'. Names cannot contain '/' or ':'."))
  })

  test('has nothing to do with how the number is written', async () => {
    const name = await createModel(1)

    for (const version of ['01', ' 1 ', 1]) {
      const { model_version } = await server.client.modelVersions.get({ name, version })
      expect(model_version.version).toBe('1')
    }
  })
})

describe('changing', () => {
  test('an update without a description removes it', async () => {
    const name = await createModel()
    await createVersion(name, { description: 'first' })
    await forgetChanges()

    const { model_version } = await server.client.modelVersions.update({ name, version: '1' })

    expect(Object.keys(model_version)).not.toContain('description')
    expect(model_version.last_updated_timestamp).toBeGreaterThan(1)
    expect(await getVersion(name)).toEqual(model_version)
  })

  test('a tag can be set twice and deleted twice, and is no update', async () => {
    const name = await createModel(2)
    await forgetChanges()
    for (const value of ['1', '2']) {
      await server.client.modelVersions.setTag({ name, version: '1', key: 'k', value })
    }
    await server.client.modelVersions.setTag({ name, version: '1', key: 'empty' })
    expect(await getVersion(name)).toMatchObject({
      last_updated_timestamp: 1,
      tags: [
        { key: 'empty', value: '' },
        { key: 'k', value: '2' },
      ],
    })
    expect((await getVersion(name, '2')).tags).toBeUndefined()

    for (const key of ['k', 'k', 'empty']) {
      await server.client.modelVersions.deleteTag({ name, version: '1', key })
    }

    expect((await getVersion(name)).tags).toBeUndefined()
  })

  test('a deleted version is gone with its tags and from every list', async () => {
    const name = await createModel(2)
    await server.client.modelVersions.setTag({ name, version: '2', key: 'k', value: 'v' })
    await server.client.modelVersions.delete({ name, version: '2' })

    const found = await server.client.modelVersions.search({ filter: `name = '${name}'` })
    const { registered_model } = await server.client.registeredModels.get({ name })

    expect(found.model_versions?.map(({ version }) => version)).toEqual(['1'])
    expect(registered_model.latest_versions?.map(({ version }) => version)).toEqual(['1'])
    expect((await createVersion(name)).tags).toBeUndefined()
  })
})

describe('stages', () => {
  const stagesOf = async (name: string) => {
    const { model_versions = [] } = await server.client.modelVersions.search({
      filter: `name = '${name}'`,
      order_by: ['version_number'],
    })
    return model_versions.map(({ current_stage }) => current_stage)
  }

  test('are stored in their canonical spelling, and moving twice is fine', async () => {
    const name = await createModel(1)
    for (const stage of ['PRODUCTION', 'production']) {
      const { model_version } = await server.client.modelVersions.transitionStage({
        name,
        version: '1',
        stage,
      })
      expect(model_version.current_stage).toBe('Production')
    }
  })

  test('archiving moves only the other versions of that stage, at the same time', async () => {
    const name = await createModel(4)
    for (const [version, stage] of [
      ['1', 'Production'],
      ['2', 'Production'],
      ['3', 'Staging'],
    ]) {
      await server.client.modelVersions.transitionStage({
        name,
        version: String(version),
        stage: String(stage),
      })
    }
    await forgetChanges()

    const { model_version } = await server.client.modelVersions.transitionStage({
      name,
      version: '2',
      stage: 'Production',
      archive_existing_versions: true,
    })

    expect(await stagesOf(name)).toEqual(['Archived', 'Production', 'Staging', 'None'])
    const archived = await getVersion(name)
    expect(archived.last_updated_timestamp).toBe(model_version.last_updated_timestamp)
    expect((await getVersion(name, '3')).last_updated_timestamp).toBe(1)
  })

  test.each([
    [
      'bogus',
      false,
      'Invalid Model Version stage: bogus. Value must be one of None, Staging, Production, Archived.',
    ],
    [
      'Deleted_Internal',
      false,
      'Invalid Model Version stage: Deleted_Internal. Value must be one of None, Staging, Production, Archived.',
    ],
    [
      'none',
      true,
      "Model version transition cannot archive existing model versions because 'none' is not an Active stage. Valid stages are ['Staging', 'Production']",
    ],
    [
      'Archived',
      true,
      "Model version transition cannot archive existing model versions because 'Archived' is not an Active stage. Valid stages are ['Staging', 'Production']",
    ],
  ])('%s (archiving others: %s) is refused with a 400', async (stage, archive, message) => {
    const name = await createModel(1)

    await expect(
      server.client.modelVersions.transitionStage({
        name,
        version: '1',
        stage,
        archive_existing_versions: archive,
      }),
    ).rejects.toMatchObject(invalid(message))
    expect(await stagesOf(name)).toEqual(['None'])
  })
})

describe('searching', () => {
  let own: TestServer
  beforeAll(async () => {
    own = await startServer()
    for (const name of ['a', 'b']) {
      await own.client.registeredModels.create({ name })
      for (const source of ['s3://b/1', 's3://b/2']) {
        await own.client.modelVersions.create({ name, source, run_id: `run of ${name}` })
      }
    }
  })
  afterAll(() => own.close())

  const order_by = ['name', 'version_number']

  async function search(input: Parameters<typeof own.client.modelVersions.search>[0]) {
    const { model_versions = [], next_page_token } = await own.client.modelVersions.search(input)
    const found = model_versions.map(({ name, version }) => `${name}${version}`)
    return { found, next_page_token }
  }

  test('pages without gaps while versions come and go', async () => {
    const first = await search({ order_by, max_results: 2 })
    await own.client.modelVersions.delete({ name: 'a', version: '1' })

    const second = await search({
      order_by,
      max_results: 2,
      ...(first.next_page_token && { page_token: first.next_page_token }),
    })

    expect([first.found, second.found]).toEqual([
      ['a1', 'a2'],
      ['b1', 'b2'],
    ])
    expect(second.next_page_token).toBeUndefined()
  })

  test('shows aliases and tags of each version and of no other', async () => {
    await own.client.registeredModels.setAlias({ name: 'a', alias: 'x', version: '2' })
    await own.client.registeredModels.setAlias({ name: 'b', alias: 'y', version: '1' })
    await own.client.modelVersions.setTag({ name: 'b', version: '2', key: 'k', value: 'v' })

    const { model_versions = [] } = await own.client.modelVersions.search({
      order_by,
      filter: "source_path LIKE 's3://b/%'",
    })

    const shown = Object.fromEntries(
      model_versions.map(({ name, version, aliases, tags }) => [
        `${name}${version}`,
        [aliases, tags],
      ]),
    )
    expect(shown).toMatchObject({
      a2: [['x'], undefined],
      b1: [['y'], undefined],
      b2: [undefined, [{ key: 'k', value: 'v' }]],
    })
  })

  test('hides versions of prompts unless the filter asks for them', async () => {
    const tags = [{ key: 'mlflow.prompt.is_prompt', value: 'true' }]
    await own.client.registeredModels.create({ name: 'p', tags })
    await own.client.modelVersions.create({ name: 'p', source: 'dummy-source', tags })

    expect((await search({ filter: "name = 'p'" })).found).toEqual([])
    const asking = "name = 'p' and tags.`mlflow.prompt.is_prompt` = 'true'"
    expect((await search({ filter: asking })).found).toEqual(['p1'])
  })

  test('finds the versions that came of a run, latest changed first', async () => {
    await own.client.modelVersions.update({ name: 'b', version: '1', description: 'changed' })

    const { found } = await search({ filter: "run_id = 'run of b'" })

    expect(found).toEqual(['b1', 'b2'])
    expect(await own.client.modelVersions.search({ filter: "run_id = 'other'" })).toEqual({})
  })

  test.each([
    [{ max_results: 0 }, 'It must be a positive integer, but got 0'],
    [{ max_results: 200_001 }, 'It must be at most 200000, but got value 200001'],
    [{ filter: 'version_number = 1.5' }, "Invalid value for numeric attribute 'version_number'"],
    [{ order_by: ['stage'] }, "Invalid attribute key 'stage' specified."],
  ])('%j is refused', async (input, text) => {
    await expect(search(input)).rejects.toMatchObject({
      code: 'INVALID_PARAMETER_VALUE',
      message: expect.stringContaining(text),
    })
  })
})
