import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import { type Client, createClient } from '@millrace/client/client'
import { describe, expect, test } from 'vitest'
import { runKillCampaign } from './kill-campaign.ts'
import { findDifferences } from './ledger-check.ts'
import { type Ledger, newLedger, startLogging } from './logging-clients.ts'
import { databasePath, type ServerProcess, startServerProcess } from './server-process.ts'
import { temporaryFolder } from './temporary-folder.ts'

// A fraction of how long a stopping server waits for what it has begun; a starved machine needs some.
const STOP_LIMIT_MS = 8000

test('kill -9 loses, doubles and halves no acknowledged write', { timeout: 360_000 }, async () => {
  const seed = Date.now() % 100_000

  const figures = await runKillCampaign({ kills: 5, clients: 6, seed, lifeMaxMs: 900 })

  expect(figures.differences, `seed ${seed}`).toEqual([])
  expect(figures.acknowledged).toBeGreaterThan(20)
})

describe('a server that is asked to stop', () => {
  test('answers what it has begun to read, and keeps all it has answered', async () => {
    await using folder = await temporaryFolder()
    let ledger: Ledger
    {
      await using server = await startServerProcess({ folder: folder.path })
      ledger = await prepareLedger(createClient({ baseUrl: server.url }))
      const logging = startLogging({ port: server.port, ledger, clients: 4, seed: 1 })
      const upload = await beginUpload(server, 'late.bin', 200_000)
      const batch = await beginPost(server, '/api/2.0/mlflow/experiments/create', '{"name":"late"}')
      await expect.poll(() => ledger.acknowledged, { timeout: 180_000 }).toBeGreaterThan(30)

      const stopped = server.terminate()
      await wait(100)

      expect(await upload.finish()).toMatch(/^HTTP\/1.1 200 /)
      expect(await batch.finish()).toMatch(/^HTTP\/1.1 200 /)
      expect((await stopped).code).toBe(0)
      await logging.ended
    }
    await using server = await startServerProcess({ folder: folder.path })
    const client = createClient({ baseUrl: server.url })
    expect(await findDifferences(client, server.url, ledger)).toEqual([])
    expect(await client.experiments.getByName({ experiment_name: 'late' })).toBeDefined()
    const late = await fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts/late.bin`)
    expect((await late.arrayBuffer()).byteLength).toBe(200_000)
  }, 360_000)

  test('does not wait for connections that wait for nothing', async () => {
    await using folder = await temporaryFolder()
    await using server = await startServerProcess({ folder: folder.path })
    const used = await Promise.all(Array.from({ length: 10 }, () => openSocket(server)))
    for (const socket of used) {
      socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await once(socket, 'data')
    }
    const unused = await Promise.all(Array.from({ length: 10 }, () => openSocket(server)))

    const { code, ms } = await server.terminate()

    expect(code).toBe(0)
    expect(ms).toBeLessThan(STOP_LIMIT_MS)
    for (const socket of [...used, ...unused]) socket.destroy()
  }, 360_000)
})

test('writes wait for another process that holds the database for three seconds', async () => {
  await using folder = await temporaryFolder()
  await using server = await startServerProcess({ folder: folder.path })
  const client = createClient({ baseUrl: server.url })
  const { run } = await client.runs.create({ experiment_id: '0' })
  const other = new DatabaseSync(databasePath(folder.path))
  other.exec('BEGIN IMMEDIATE')

  const { run_id } = run.info
  const steps = Array.from({ length: 20 }, (_, step) => step)
  let answered = 0
  const writes = Promise.all(
    steps.map(async (step) => {
      await client.runs.logMetric({ run_id, key: 'm', value: step, timestamp: 1, step })
      answered++
    }),
  )
  await wait(3000)
  const whileHeld = answered
  const read = await client.experiments.get({ experiment_id: '0' })
  other.exec('ROLLBACK')
  other.close()
  await writes

  expect([whileHeld, answered, read.experiment.name]).toEqual([0, 20, 'Default'])
  const { metrics = [] } = await client.metrics.getHistory({ run_id, metric_key: 'm' })
  expect(metrics.map(({ step }) => step)).toEqual(steps)
}, 360_000)

async function prepareLedger(client: Client): Promise<Ledger> {
  const { experiment_id } = await client.experiments.create({ name: 'logged' })
  await client.registeredModels.create({ name: 'model' })
  return newLedger(experiment_id, 'model')
}

async function openSocket({ port }: ServerProcess): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

function beginUpload(server: ServerProcess, path: string, sizeBytes: number) {
  const url = `/api/2.0/mlflow-artifacts/artifacts/${path}`
  return beginRequest(server, `PUT ${url}`, Buffer.alloc(sizeBytes, 7))
}

function beginPost(server: ServerProcess, url: string, body: string) {
  return beginRequest(server, `POST ${url}`, Buffer.from(body))
}

/** Sends a request but for the last byte of its body; `finish` sends that and reads the answer. */
async function beginRequest(server: ServerProcess, line: string, body: Buffer) {
  const socket = await openSocket(server)
  const head = [
    `${line} HTTP/1.1`,
    'Host: localhost',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
  ]
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  socket.write(body.subarray(0, -1))
  return {
    async finish(): Promise<string> {
      socket.write(body.subarray(-1))
      const [answer] = (await once(socket, 'data')) as [Buffer]
      socket.destroy()
      return answer.toString()
    },
  }
}
