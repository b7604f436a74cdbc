import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'

let server: TestServer
let experiment_id: string
beforeAll(async () => {
  server = await startServer()
  experiment_id = (await server.client.experiments.create({ name: 'runs' })).experiment_id
})
afterAll(() => server.close())

async function createRun(input: { run_name?: string; start_time?: number } = {}) {
  const { run } = await server.client.runs.create({ experiment_id, ...input })
  return run.info.run_id
}

async function getRun(run_id: string) {
  return (await server.client.runs.get({ run_id })).run
}

async function post(path: string, payload: string) {
  const headers = { 'content-type': 'application/json' }
  const url = `/api/2.0/mlflow/${path}`
  const response = await server.http.inject({ method: 'POST', url, headers, payload })
  return { status: response.statusCode, body: response.json() as Record<string, string> }
}

describe('a run', () => {
  test('starts running in its experiment, with a name that a tag repeats', async () => {
    const run_id = await createRun({ run_name: 'first', start_time: 1234 })

    const run = await getRun(run_id)

    expect(run.info).toEqual({
      run_id,
      run_uuid: run_id,
      run_name: 'first',
      experiment_id,
      user_id: '',
      status: 'RUNNING',
      start_time: 1234,
      artifact_uri: `mlflow-artifacts:/${experiment_id}/${run_id}/artifacts`,
      lifecycle_stage: 'active',
    })
    expect(run_id).toMatch(/^[0-9a-f]{32}$/)
    expect(run.data.tags).toEqual([{ key: 'mlflow.runName', value: 'first' }])
  })

  test('without a name gets one of MLflow’s form', async () => {
    const run = await getRun(await createRun())

    expect(run.info.run_name).toMatch(/^[a-z]+-[a-z]+-\d{1,3}$/)
    expect(run.info.run_name.length).toBeLessThanOrEqual(20)
  })

  test('keeps name and tag the same, whichever is changed', async () => {
    const run_id = await createRun({ run_name: 'a' })
    await server.client.runs.update({ run_id, run_name: 'b' })
    expect((await getRun(run_id)).data.tags).toEqual([{ key: 'mlflow.runName', value: 'b' }])

    await server.client.runs.setTag({ run_id, key: 'mlflow.runName', value: 'c' })

    expect((await getRun(run_id)).info.run_name).toBe('c')
  })

  test('cannot be given two names', async () => {
    const tags = [{ key: 'mlflow.runName', value: 'y' }]
    await expect(
      server.client.runs.create({ experiment_id, run_name: 'x', tags }),
    ).rejects.toMatchObject({
      message: expect.stringContaining("run_name='x', mlflow.runName='y'"),
    })
  })

  test('takes no writes while it is deleted, and all it had is there when it is back', async () => {
    const run_id = await createRun()
    await server.client.runs.logParameter({ run_id, key: 'p', value: '1' })
    await server.client.runs.delete({ run_id })
    await server.client.runs.delete({ run_id })

    await expect(server.client.runs.setTag({ run_id, key: 'k', value: 'v' })).rejects.toMatchObject(
      {
        code: 'INVALID_PARAMETER_VALUE',
        message: `The run ${run_id} must be in the 'active' state. Current state is deleted.`,
      },
    )
    await server.client.runs.restore({ run_id })
    expect((await getRun(run_id)).data.params).toEqual([{ key: 'p', value: '1' }])
  })

  test('that ended answers from its document, and from the truth again after a late write', async () => {
    const run_id = await createRun()
    await server.client.runs.logMetric({ run_id, key: 'm', value: 1, timestamp: 1 })
    await server.client.runs.update({ run_id, status: 'FINISHED', end_time: 99 })
    const ended = await getRun(run_id)
    await server.client.runs.logMetric({ run_id, key: 'm', value: 2, timestamp: 2, step: 1 })
    await server.client.runs.setTag({ run_id, key: 'late', value: 'yes' })

    const late = await getRun(run_id)

    expect(ended.info).toMatchObject({ status: 'FINISHED', end_time: 99 })
    expect(late.data.metrics).toEqual([{ key: 'm', value: 2, timestamp: 2, step: 1 }])
    expect(late.data.tags).toContainEqual({ key: 'late', value: 'yes' })
  })

  test('is asked for by its old name too', async () => {
    const run_id = await createRun()
    const response = await server.http.inject({
      url: `/api/2.0/mlflow/runs/get?run_uuid=${run_id}`,
    })

    expect(response.json().run.info.run_id).toBe(run_id)
  })
})

describe('a param', () => {
  test('is logged once, the same value again is nothing new, another one is refused', async () => {
    const run_id = await createRun()
    await server.client.runs.logParameter({ run_id, key: 'lr', value: '0.1' })
    await server.client.runs.logParameter({ run_id, key: 'lr', value: '0.1' })

    await expect(
      server.client.runs.logParameter({ run_id, key: 'lr', value: '0.2' }),
    ).rejects.toMatchObject({
      message: `Changing param values is not allowed. Param with key='lr' was already logged with value='0.1' for run ID='${run_id}'. Attempted logging new value '0.2'.`,
    })
  })

  test('that changes takes its whole batch with it', async () => {
    const run_id = await createRun()
    await server.client.runs.logParameter({ run_id, key: 'lr', value: '0.1' })

    await expect(
      server.client.runs.logBatch({
        run_id,
        params: [
          { key: 'depth', value: '3' },
          { key: 'lr', value: '0.2' },
        ],
        metrics: [{ key: 'loss', value: 1, timestamp: 0 }],
        tags: [{ key: 't', value: 'v' }],
      }),
    ).rejects.toMatchObject({
      message: `Changing param values is not allowed. Params were already logged='[{'key': 'lr', 'old_value': '0.1', 'new_value': '0.2'}]' for run ID='${run_id}'.`,
    })

    const { data } = await getRun(run_id)
    expect(data.params).toEqual([{ key: 'lr', value: '0.1' }])
    expect(data.metrics).toBeUndefined()
    expect(data.tags?.map(({ key }) => key)).toEqual(['mlflow.runName'])
  })

  test('too long is cut to 6000 characters, of which an emoji is one', async () => {
    const run_id = await createRun()
    await server.client.runs.logParameter({ run_id, key: 'p', value: '😀'.repeat(6001) })

    expect((await getRun(run_id)).data.params).toEqual([{ key: 'p', value: '😀'.repeat(6000) }])
  })
})

describe('a metric', () => {
  test('shows the value with the highest step, then time, then value', async () => {
    const run_id = await createRun()
    const metrics = [
      { key: 'm', value: 5, timestamp: 50, step: 1 },
      { key: 'm', value: 7, timestamp: 10, step: 2 },
      { key: 'm', value: 9, timestamp: 10, step: 2 },
      { key: 'm', value: 8, timestamp: 9, step: 2 },
      { key: 'm', value: 1, timestamp: 99, step: -3 },
    ]
    await server.client.runs.logBatch({ run_id, metrics })

    expect((await getRun(run_id)).data.metrics).toEqual([
      { key: 'm', value: 9, timestamp: 10, step: 2 },
    ])
  })

  test('keeps NaN, infinities and integers beyond 2^53', async () => {
    const run_id = await createRun()
    const { status } = await post(
      'runs/log-batch',
      `{"run_id":"${run_id}","metrics":[
        {"key":"nan","value":NaN,"timestamp":1},
        {"key":"text","value":"NaN","timestamp":1},
        {"key":"up","value":Infinity,"timestamp":1},
        {"key":"down","value":"-Infinity","timestamp":1},
        {"key":"far","value":1,"timestamp":1,"step":9223372036854775807},
        {"key":"back","value":1,"timestamp":1,"step":-9007199254740993}]}`,
    )

    const { metrics = [] } = (await getRun(run_id)).data
    const values = Object.fromEntries(metrics.map(({ key, value, step }) => [key, [value, step]]))
    expect(status).toBe(200)
    expect(values).toEqual({
      nan: ['NaN', 0],
      text: ['NaN', 0],
      up: [Number.MAX_VALUE, 0],
      down: [-Number.MAX_VALUE, 0],
      far: [1, 9223372036854775807n],
      back: [1, -9007199254740993n],
    })
  })

  test.each([
    [
      'no run',
      { key: 'm', value: 1, timestamp: 1 },
      "Missing value for required parameter 'run_id'.",
    ],
    [
      'no value',
      { run_id: 'r', key: 'm', timestamp: 1 },
      "Missing value for required parameter 'value'.",
    ],
    [
      'no time',
      { run_id: 'r', key: 'm', value: 1 },
      "Missing value for required parameter 'timestamp'.",
    ],
    [
      'text for a value',
      { run_id: 'r', key: 'm', value: 'high', timestamp: 1 },
      `Invalid value "high" for parameter 'value' supplied`,
    ],
    [
      'a boolean for a value',
      { run_id: 'r', key: 'm', value: true, timestamp: 1 },
      `Invalid value true for parameter 'value' supplied`,
    ],
    [
      'a negative time',
      { run_id: 'r', key: 'm', value: 1, timestamp: -1 },
      'Timestamp must be a nonnegative long (64-bit integer)',
    ],
    [
      'a step beyond 64 bits',
      { run_id: 'r', key: 'm', value: 1, timestamp: 1, step: '9223372036854775808' },
      "for parameter 'step' supplied",
    ],
    [
      'a bad key',
      { run_id: 'r', key: 'bad$', value: 1, timestamp: 1 },
      'Names may only contain alphanumerics',
    ],
    [
      'a key that climbs',
      { run_id: 'r', key: 'a/../b', value: 1, timestamp: 1 },
      "This name would resolve to 'b'",
    ],
    [
      'a long key',
      { run_id: 'r', key: 'k'.repeat(251), value: 1, timestamp: 1 },
      "'Metric name' exceeds the maximum length of 250 characters",
    ],
  ])('with %s is refused', async (_what, body, message) => {
    const { status, body: answer } = await post('runs/log-metric', JSON.stringify(body))

    expect(status).toBe(400)
    expect(answer['error_code']).toBe('INVALID_PARAMETER_VALUE')
    expect(answer['message']).toContain(message)
  })
})

test('a run may be created with tags of any key, as in MLflow', async () => {
  const tags = ['#1 (best)', '../up'].map((key) => ({ key, value: 'v' }))
  const { run } = await server.client.runs.create({ experiment_id, tags })

  expect((await getRun(run.info.run_id)).data.tags).toEqual(expect.arrayContaining(tags))
})

describe('a batch', () => {
  test.each([
    ['metrics', 1001, 'at most 1000 metrics. Got 1001 metrics.'],
    ['params', 101, 'at most 100 params. Got 101 params.'],
    ['tags', 101, 'at most 100 tags. Got 101 tags.'],
  ])('of too many %s is refused', async (what, count, message) => {
    const run_id = await createRun()
    const items = Array.from({ length: count }, (_, i) => ({
      key: `k${i}`,
      value: what === 'metrics' ? 1 : 'v',
      timestamp: 1,
    }))

    await expect(server.client.runs.logBatch({ run_id, [what]: items })).rejects.toMatchObject({
      message: expect.stringContaining(message),
    })
  })

  test('may hold 1000 things in all', async () => {
    const run_id = await createRun()
    const metrics = Array.from({ length: 1000 }, (_, i) => ({
      key: `m${i}`,
      value: i,
      timestamp: 1,
    }))
    await server.client.runs.logBatch({ run_id, metrics })

    await expect(
      server.client.runs.logBatch({ run_id, metrics, tags: [{ key: 't', value: 'v' }] }),
    ).rejects.toMatchObject({
      message: expect.stringContaining('at most 1000 metrics, params, and tags. Got 1001'),
    })
    expect((await getRun(run_id)).data.metrics).toHaveLength(1000)
  })

  test.each([
    [
      'a param twice',
      {
        params: [
          { key: 'q', value: '1' },
          { key: 'q', value: '1' },
        ],
      },
      "Duplicate parameter keys have been submitted: ['q'].",
    ],
    [
      'a metric without value',
      { metrics: [{ key: 'm', timestamp: 1 }] },
      "Missing value for required parameter 'metrics[0].value'.",
    ],
    ['a metric that is none', { metrics: [1] }, 'metrics[0]'],
    [
      'a metric without time',
      { metrics: [{ key: 'm', value: 1 }] },
      "Missing value for required parameter 'metrics[0].timestamp'.",
    ],
    [
      'a param without key',
      { params: [{ value: '1' }] },
      "Missing value for required parameter 'params[0].key'.",
    ],
  ])('with %s is refused', async (_what, content, message) => {
    const run_id = await createRun()
    const { status, body } = await post('runs/log-batch', JSON.stringify({ run_id, ...content }))

    expect(status).toBe(400)
    expect(body['message']).toContain(message)
  })

  test('for no run that can be is refused before anything else', async () => {
    const { body } = await post('runs/log-batch', '{"run_id":"ab cd"}')

    expect(body['message']).toContain(`Invalid value "ab cd" for parameter 'run_id' supplied.`)
  })

  test('with a tag twice keeps the last one', async () => {
    const run_id = await createRun()
    const tags = ['first', 'last'].map((value) => ({ key: 'never seen before', value }))
    await server.client.runs.logBatch({ run_id, tags })

    expect((await getRun(run_id)).data.tags).toContainEqual(tags[1])
  })

  test('sent twice leaves what one leaves', async () => {
    const run_id = await createRun()
    const batch = {
      run_id,
      metrics: [1, 2, 3].map((step) => ({ key: 'm', value: step, timestamp: step, step })),
      params: [{ key: 'p', value: '1' }],
      tags: [{ key: 't', value: 'v' }],
    }
    await Promise.all([server.client.runs.logBatch(batch), server.client.runs.logBatch(batch)])
    await server.client.runs.logBatch(batch)

    const { metrics } = await server.client.metrics.getHistory({ run_id, metric_key: 'm' })
    expect(metrics?.map(({ value }) => value)).toEqual([1, 2, 3])
  })
})

describe('inputs and outputs of a run', () => {
  test('are kept once, with their tags', async () => {
    const run_id = await createRun()
    const dataset = { name: 'd', digest: 'abc', source_type: 'local', source: '{}' }
    const tags = [{ key: 'mlflow.data.context', value: 'training' }]
    await server.client.runs.logInputs({
      run_id,
      datasets: [{ dataset, tags }],
      models: [{ model_id: 'm-1' }],
    })
    await server.client.runs.logInputs({ run_id, datasets: [{ dataset, tags: [] }] })
    await server.client.runs.logOutputs({ run_id, models: [{ model_id: 'm-2', step: 3 }] })
    await server.client.runs.logOutputs({ run_id, models: [{ model_id: 'm-2', step: 3 }] })

    const run = await getRun(run_id)

    expect(run.inputs).toEqual({
      dataset_inputs: [{ dataset, tags }],
      model_inputs: [{ model_id: 'm-1' }],
    })
    expect(run.outputs).toEqual({ model_outputs: [{ model_id: 'm-2', step: 3 }] })
    const { dataset_summaries } = await server.client.experiments.searchDatasets({
      experiment_ids: [experiment_id],
    })
    expect(dataset_summaries).toEqual([
      { experiment_id, name: 'd', digest: 'abc', context: 'training' },
    ])
  })

  test('of old clients go to a tag', async () => {
    const run_id = await createRun()
    const model = { artifact_path: 'm', flavors: {}, utc_time_created: 'now', run_id }
    await server.client.runs.logModel({ run_id, model_json: JSON.stringify(model) })
    await server.client.runs.logModel({ run_id, model_json: JSON.stringify(model) })

    const tag = (await getRun(run_id)).data.tags?.find(({ key }) => key.endsWith('history'))
    expect(JSON.parse(tag?.value ?? '')).toEqual([model, model])
    await expect(
      server.client.runs.logModel({ run_id, model_json: '{"run_id":"x"}' }),
    ).rejects.toMatchObject({ message: expect.stringContaining("'artifact_path', 'flavors'") })
  })
})

describe('a status', () => {
  const update = async (status: unknown) => {
    const run_id = await createRun()
    return post('runs/update', JSON.stringify({ run_id, status }))
  }

  test.each([
    ['a name', 'KILLED', 'KILLED'],
    ['a number', 3, 'FINISHED'],
    ['a number as text', '4', 'FAILED'],
    ['another word, which changes nothing', 'finished', 'RUNNING'],
  ])('may be %s', async (_, status, expected) => {
    expect((await update(status)).body['run_info']).toMatchObject({ status: expected })
  })

  test.each([0, 6, 77, '6'])('is not the number %j', async (status) => {
    const { status: code, body } = await update(status)

    expect(code).toBe(400)
    expect(body['message']).toContain(
      `Invalid value ${JSON.stringify(status)} for parameter 'status'`,
    )
  })
})

describe('an unknown run', () => {
  test.each([
    ['runs/update', {}],
    ['runs/delete', {}],
    ['runs/restore', {}],
    ['runs/log-metric', { key: 'm', value: 1, timestamp: 1 }],
    ['runs/log-parameter', { key: 'p', value: '1' }],
    ['runs/log-batch', {}],
    ['runs/set-tag', { key: 't', value: '1' }],
    ['runs/delete-tag', { key: 't' }],
    ['runs/log-inputs', {}],
    ['runs/outputs', {}],
  ])('is not found by %s', async (path, body) => {
    const { status, body: answer } = await post(path, JSON.stringify({ run_id: 'nobody', ...body }))

    expect(status).toBe(404)
    expect(answer).toMatchObject({
      error_code: 'RESOURCE_DOES_NOT_EXIST',
      message: 'Run with id=nobody not found',
    })
  })
})

test.each(['runs/log-metric', 'runs/log-parameter', 'runs/log-batch', 'runs/set-tag'])(
  'a run id that is a number is refused by %s before anything else',
  async (path) => {
    const { status, body } = await post(path, JSON.stringify({ run_id: 31, key: 5, value: 41 }))

    expect(status).toBe(400)
    expect(body).toMatchObject({
      error_code: 'INVALID_PARAMETER_VALUE',
      message: expect.stringContaining("Invalid value 31 for parameter 'run_id' supplied"),
    })
  },
)
