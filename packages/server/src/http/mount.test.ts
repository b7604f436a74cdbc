import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'

let server: TestServer
let port: number
beforeAll(async () => {
  server = await startServer()
  await server.http.listen({ host: '127.0.0.1', port: 0 })
  const address = server.http.server.address()
  port = typeof address === 'object' && address !== null ? address.port : 0
})
afterAll(() => server.close())

async function post(path: string, body: string): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  return fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers, body })
}

async function openAndPost(path: string, body: string, headers: string[] = []): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const head = [
    `POST ${path} HTTP/1.1`,
    'Host: localhost',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...headers,
  ]
  await new Promise((resolve) => socket.write(`${head.join('\r\n')}\r\n\r\n${body}`, resolve))
  return socket
}

/** Sends a request and breaks the connection without waiting for the answer. */
async function postAndLeave(path: string, body: string): Promise<void> {
  const socket = await openAndPost(path, body)
  socket.resetAndDestroy()
  await once(socket, 'close')
}

/** Sends a request over a connection of its own, which it ends when the answer is there. */
async function postOnce(path: string, body: string, headers: string[]): Promise<void> {
  const socket = await openAndPost(path, body, headers)
  await once(socket, 'data')
  const closed = once(socket, 'close')
  socket.end()
  await closed
}

const create = '/api/2.0/mlflow/runs/create'

async function countRuns(): Promise<number> {
  const { runs = [] } = await server.client.runs.search({ experiment_ids: [experiment_id] })
  return runs.length
}

let experiment_id: string

test('a create whose client left before the answer is not done again when it is sent again', async () => {
  experiment_id = (await server.client.experiments.create({ name: 'left' })).experiment_id
  const body = JSON.stringify({ experiment_id, start_time: 1, run_name: 'r' })

  await postAndLeave(create, body)
  await expect.poll(countRuns).toBe(1)
  const retried = (await (await post(create, body)).json()) as { run: { info: { run_id: string } } }

  const { runs = [] } = await server.client.runs.search({ experiment_ids: [experiment_id] })
  expect(runs.map(({ info }) => info.run_id)).toEqual([retried.run.info.run_id])
})

test('a create that was answered is done again when somebody asks for it again', async () => {
  experiment_id = (await server.client.experiments.create({ name: 'stayed' })).experiment_id
  const body = JSON.stringify({ experiment_id, start_time: 1, run_name: 'r' })

  await (await post(create, body)).json()
  await (await post(create, body)).json()

  expect(await countRuns()).toBe(2)
})

test.each([
  ['scripts that close their connections get a run for each', [], 2],
  ['MLflow clients get one for the same moment', ['User-Agent: mlflow-python-client/3.17.2'], 1],
  ['as does whoever names the request', ['Idempotency-Key: 7'], 1],
])('of creates with the same body and time, %s', async (name, headers, expected) => {
  experiment_id = (await server.client.experiments.create({ name })).experiment_id
  const body = JSON.stringify({ experiment_id, start_time: Date.now(), run_name: 'r' })

  await postOnce(create, body, headers)
  await postOnce(create, body, headers)

  expect(await countRuns()).toBe(expected)
})

test('a URL that begins with two slashes is the one with one', async () => {
  const response = await fetch(`http://127.0.0.1:${port}//version`)

  expect(response.status).toBe(200)
})

test('a byte order mark before the JSON is passed over', async () => {
  const response = await post('/api/2.0/mlflow/experiments/create', '\ufeff{"name":"marked"}')

  expect(response.status).toBe(200)
})

test.each([
  ['elsewhere', 400],
  ['default', 200],
  ['', 200],
])('a request into workspace %j is answered %i', async (workspace, status) => {
  const headers = { 'content-type': 'application/json', 'x-mlflow-workspace': workspace }
  const url = `http://127.0.0.1:${port}/api/2.0/mlflow/experiments/search`
  const response = await fetch(url, { method: 'POST', headers, body: '{"max_results":1}' })

  expect(response.status).toBe(status)
})
