import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const create = async (name: string) =>
  (await server.client.experiments.create({ name })).experiment_id

describe('an experiment', () => {
  test('keeps name, tags and a location below the default artifact root', async () => {
    const tags = [{ key: 'team', value: 'vision' }]
    const { experiment_id } = await server.client.experiments.create({ name: 'kept', tags })

    const { experiment } = await server.client.experiments.get({ experiment_id })

    expect(experiment).toMatchObject({
      experiment_id,
      name: 'kept',
      tags,
      artifact_location: `mlflow-artifacts:/${experiment_id}`,
      lifecycle_stage: 'active',
      workspace: 'default',
    })
    const byName = await server.client.experiments.getByName({ experiment_name: 'kept' })
    expect(byName.experiment).toEqual(experiment)
  })

  test('cannot have the name of another one, even of a deleted one', async () => {
    const experiment_id = await create('taken')
    await server.client.experiments.delete({ experiment_id })

    await expect(server.client.experiments.create({ name: 'taken' })).rejects.toMatchObject({
      code: 'RESOURCE_ALREADY_EXISTS',
      message: expect.stringContaining('Experiment(name=taken) already exists.'),
    })
  })

  test('takes its active runs with it to the bin, and all of its runs back', async () => {
    const experiment_id = await create('binned')
    const { run: first } = await server.client.runs.create({ experiment_id })
    const { run: second } = await server.client.runs.create({ experiment_id })
    await server.client.runs.delete({ run_id: second.info.run_id })

    await server.client.experiments.delete({ experiment_id })
    const deleted = await server.client.runs.get({ run_id: first.info.run_id })
    await server.client.experiments.restore({ experiment_id })
    const restored = await server.client.runs.get({ run_id: second.info.run_id })

    expect(deleted.run.info.lifecycle_stage).toBe('deleted')
    expect(restored.run.info.lifecycle_stage).toBe('active')
  })

  test('is not found a second time by delete, nor by restore when it is active', async () => {
    const experiment_id = await create('twice')
    const missing = {
      code: 'RESOURCE_DOES_NOT_EXIST',
      message: `No Experiment with id=${experiment_id} exists`,
    }
    await expect(server.client.experiments.restore({ experiment_id })).rejects.toMatchObject(
      missing,
    )
    await server.client.experiments.delete({ experiment_id })

    await expect(server.client.experiments.delete({ experiment_id })).rejects.toMatchObject(missing)
  })

  test('refuses runs, tags and a new name while it is deleted', async () => {
    const experiment_id = await create('gone')
    await server.client.experiments.delete({ experiment_id })
    const inactive = {
      code: 'INVALID_PARAMETER_VALUE',
      message: `The experiment ${experiment_id} must be in the 'active' state. Current state is deleted.`,
    }

    await expect(server.client.runs.create({ experiment_id })).rejects.toMatchObject(inactive)
    const tag = { experiment_id, key: 'k', value: 'v' }
    await expect(server.client.experiments.setTag(tag)).rejects.toMatchObject(inactive)
    await expect(
      server.client.experiments.update({ experiment_id, new_name: 'back' }),
    ).rejects.toMatchObject({ code: 'INVALID_STATE' })
  })

  test('takes a tag without a value as an empty one', async () => {
    const experiment_id = await create('valueless')
    await server.client.experiments.setTag({ experiment_id, key: 'k' })

    const { experiment } = await server.client.experiments.get({ experiment_id })
    expect(experiment.tags).toEqual([{ key: 'k', value: '' }])
  })

  test('loses a tag once', async () => {
    const experiment_id = await create('tagged')
    await server.client.experiments.setTag({ experiment_id, key: 'k', value: 'v' })
    await server.client.experiments.deleteTag({ experiment_id, key: 'k' })

    await expect(
      server.client.experiments.deleteTag({ experiment_id, key: 'k' }),
    ).rejects.toMatchObject({
      code: 'RESOURCE_DOES_NOT_EXIST',
      message: `No tag with name: k in experiment with id ${experiment_id}`,
    })
  })

  test('may have at most 50 custom views, of which each may be changed', async () => {
    const experiment_id = await create('views')
    const view = (i: number) => ({
      experiment_id,
      key: `mlflow.customView.view${i}`,
      value: '{}',
    })
    for (let i = 0; i < 50; i++) await server.client.experiments.setTag(view(i))

    await expect(server.client.experiments.setTag(view(50))).rejects.toMatchObject({
      code: 'INVALID_PARAMETER_VALUE',
    })
    await server.client.experiments.setTag({ ...view(7), value: '{"a":1}' })
  })
})

describe('bad input', () => {
  test.each([
    ['no name', {}, "Missing value for required parameter 'name'."],
    ['an empty name', { name: '' }, "Missing value for required parameter 'name'."],
    [
      'a number for a name',
      { name: 7 },
      `Invalid value 7 for parameter 'name' supplied:  Hint: Value was of type 'int'.`,
    ],
    [
      'a long name',
      { name: 'x'.repeat(501) },
      "'name' exceeds the maximum length of 500 characters",
    ],
    [
      'a long tag',
      { name: 'n', tags: [{ key: 'k', value: 'v'.repeat(20_001) }] },
      "'value' exceeds the maximum length of 20000 characters",
    ],
    [
      'a tag without key',
      { name: 'n', tags: [{ value: 'v' }] },
      "Missing value for required parameter 'tags[0].key'.",
    ],
    [
      'a location with a fragment',
      { name: 'n', artifact_location: 's3://b/k#/..' },
      "'artifact_location' URL can't include fragments or params.",
    ],
    [
      'a location with a climbing query',
      { name: 'n', artifact_location: 's3://b/k?x=/../..' },
      'Invalid query string',
    ],
    [
      'a location on a foreign host',
      { name: 'n', artifact_location: 'http://evil/x' },
      "'artifact_location' cannot use the 'http' scheme",
    ],
  ])('%s is refused in the words of MLflow', async (_what, body, message) => {
    const response = await server.http.inject({
      method: 'POST',
      url: '/api/2.0/mlflow/experiments/create',
      payload: body,
    })

    expect(response.statusCode).toBe(400)
    expect(response.json().error_code).toBe('INVALID_PARAMETER_VALUE')
    expect(response.json().message).toContain(message)
  })

  test.each([
    ['999999', 404, 'RESOURCE_DOES_NOT_EXIST'],
    ['99999999999999999999', 404, 'RESOURCE_DOES_NOT_EXIST'],
    ['-1', 404, 'RESOURCE_DOES_NOT_EXIST'],
    ['abc', 400, 'INVALID_PARAMETER_VALUE'],
    ['1.5', 400, 'INVALID_PARAMETER_VALUE'],
    ['', 400, 'INVALID_PARAMETER_VALUE'],
  ])('the id %s answers %i', async (id, status, code) => {
    const response = await server.http.inject({
      url: `/api/2.0/mlflow/experiments/get?experiment_id=${id}`,
    })

    expect([response.statusCode, response.json().error_code]).toEqual([status, code])
  })

  test.each([0, -1, 50_001])('a page of %i is refused', async (max_results) => {
    await expect(server.client.experiments.search({ max_results })).rejects.toMatchObject({
      code: 'INVALID_PARAMETER_VALUE',
    })
  })
})

describe('the chain', () => {
  const url = '/api/2.0/mlflow/experiments/create'

  test('answers under every spelling of the path', async () => {
    for (const root of ['/api/2.0', '/ajax-api/2.0', '/api/2.0/preview', '/ajax-api/2.0/preview']) {
      const response = await server.http.inject({
        url: `${root}/mlflow/experiments/get?experiment_id=999`,
      })
      expect(response.json().error_code).toBe('RESOURCE_DOES_NOT_EXIST')
    }
  })

  test.each([
    [undefined, 'Bad Request. Content-Type header is missing.'],
    ['text/plain', "Bad Request. Content-Type must be one of ['application/json']."],
  ])('refuses a body of the type %s', async (contentType, message) => {
    const headers = contentType === undefined ? {} : { 'content-type': contentType }
    const response = await server.http.inject({
      method: 'POST',
      url,
      headers,
      payload: '{"name":"x"}',
    })

    expect(response.json()).toMatchObject({ error_code: 'INVALID_PARAMETER_VALUE', message })
  })

  test.each(['{"name":', 'nonsense', '[]', '"text"', ''])(
    'takes the body %j for an empty one',
    async (payload) => {
      const headers = { 'content-type': 'application/json' }
      const response = await server.http.inject({ method: 'POST', url, headers, payload })

      expect(response.json().message).toContain("Missing value for required parameter 'name'")
    },
  )

  test('reads JSON that an old client encoded twice, and camelCase, but not both spellings', async () => {
    const headers = { 'content-type': 'application/json' }
    const post = (payload: string) => server.http.inject({ method: 'POST', url, headers, payload })

    const twice = await post(JSON.stringify(JSON.stringify({ name: 'twice encoded' })))
    const camel = await post('{"name":"camel","artifactLocation":"s3://bucket/key"}')
    const both = await post(
      '{"name":"b","artifactLocation":"s3://b/k","artifact_location":"s3://b/k"}',
    )

    expect(twice.statusCode).toBe(200)
    const { experiment_id } = camel.json() as { experiment_id: string }
    const { experiment } = await server.client.experiments.get({ experiment_id })
    expect(experiment.artifact_location).toBe('s3://bucket/key')
    expect(both.json().message).toBe(
      "Request specifies both 'artifact_location' and 'artifactLocation'; provide only one of them.",
    )
  })

  test('answers an unknown path with a 404 that is not JSON', async () => {
    const response = await server.http.inject({ url: '/api/2.0/mlflow/nothing/here' })

    expect(response.statusCode).toBe(404)
    expect(response.headers['content-type']).toContain('text/html')
  })
})
