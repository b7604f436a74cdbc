import { createClient } from '@millrace/client/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../../tools/free-port.ts'
import { createApp } from '../src/app.ts'
import { localConfig } from '../src/config.ts'
import { startBalancer } from './balancer.ts'
import { createDatabase } from './database-servers.ts'
import { createAgent, sendRaw } from './fuzz-client.ts'
import { runReplicaCampaign } from './replica-campaign.ts'
import { artifactsPath, type ServerProcess, startServerProcess } from './server-process.ts'
import { emptyServerDatabase, testDatabase } from './shared-database.ts'
import { temporaryFolder } from './temporary-folder.ts'

const KILLS = 6
/** Five seconds are promised where a machine has nothing else to do. */
const RECOVERY_MAX_MS = 15_000

// SQLite has one process; the run of tests leaves this file out there.
describe.each([testDatabase])('several servers over one %s database', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let uri: string
  beforeAll(async () => {
    folder = await temporaryFolder()
    uri = await createDatabase(process.env['MILLRACE_TEST_DATABASE_URI'] ?? '')
  })
  afterAll(() => folder[Symbol.asyncDispose]())

  function start(...args: string[]): Promise<ServerProcess> {
    const storage = [
      `--backend-store-uri=${uri}`,
      `--artifacts-destination=${artifactsPath(folder.path)}`,
    ]
    return startServerProcess({ folder: folder.path, args: [...storage, ...args] })
  }

  test('ten that start at once make one schema and one default experiment', async () => {
    const database = await emptyServerDatabase()
    if (database === undefined) expect.fail()
    const config = { ...localConfig(folder.path), database }
    const small = { ...database, connectionsMax: 4 }

    const apps = await Promise.all(
      Array.from({ length: 10 }, () => createApp({ ...config, database: small })),
    )

    const found = await apps[0]?.database.read.selectFrom('experiment').select('id').execute()
    expect(found).toEqual([{ id: 0 }])
    await Promise.all(apps.map((app) => app.close()))
  })

  test('kill -9 of a server or of the database loses, doubles and halves nothing', {
    timeout: 240_000,
  }, async () => {
    const database = testDatabase === 'mariadb' ? 'mariadb' : 'postgresql'
    const figures = await runReplicaCampaign({ database, kills: KILLS, seed: 7, clientsEach: 3 })

    expect(figures.differences).toEqual([])
    expect(figures.acknowledged).toBeGreaterThan(KILLS)
    expect(Math.max(0, ...figures.recoveryMs)).toBeLessThan(RECOVERY_MAX_MS)
  })

  test('a rolling restart behind a load balancer fails no request', {
    timeout: 360_000,
  }, async () => {
    const servers = [await start('--drain-seconds=1'), await start('--drain-seconds=1')]
    await using balancer = await startBalancer(servers.map(({ port }) => port))
    const client = createClient({ baseUrl: `http://127.0.0.1:${balancer.port}` })
    const { experiment_id } = await client.experiments.create({ name: 'rolling' })
    const { run } = await client.runs.create({ experiment_id })
    const { run_id } = run.info
    const agent = createAgent(8)
    const answers: number[] = []
    let isStopped = false
    const clients = Array.from({ length: 8 }, async (_, number) => {
      for (let step = 0; !isStopped; step++) {
        const point = { run_id, key: `m${number}`, value: step, timestamp: 1, step }
        const { status } = await sendRaw(
          balancer.port,
          {
            method: 'POST',
            url: '/api/2.0/mlflow/runs/log-metric',
            headers: { 'content-type': 'application/json' },
            body: Buffer.from(JSON.stringify(point)),
          },
          agent,
        ).catch(() => ({ status: 0 }))
        answers.push(status)
      }
    })

    for (const [index, server] of servers.entries()) {
      expect((await server.terminate()).code).toBe(0)
      const next = await start('--drain-seconds=1')
      servers[index] = next
      balancer.targets = servers.map(({ port }) => port)
      await expect.poll(async () => (await fetch(`${next.url}/ready`)).status).toBe(200)
    }
    isStopped = true
    await Promise.all(clients)
    agent.destroy()
    for (const server of servers) await server.kill()

    expect(answers.length).toBeGreaterThan(100)
    expect(answers.filter((status) => status !== 200)).toEqual([])
  })

  test('workers share a port, and one that is killed is replaced', {
    timeout: 360_000,
  }, async () => {
    // One of its own choice would be another one, were the worker that is killed the only one yet.
    await using server = await start('--workers=2', `--port=${await freePort()}`)
    const client = createClient({ baseUrl: server.url })
    const workers = () => server.childIds()
    await expect.poll(() => workers().length).toBe(2)

    const [first = 0] = workers()
    process.kill(first, 'SIGKILL')

    await expect
      .poll(workers, { timeout: 180_000 })
      .toSatisfy((ids: number[]) => ids.length === 2 && !ids.includes(first))
    const answers = () =>
      client.experiments.search({ max_results: 1 }).then(
        () => true,
        () => false,
      )
    await expect.poll(answers, { timeout: 180_000 }).toBe(true)
    const all = workers()
    expect((await server.terminate()).code).toBe(0)
    for (const id of all) expect(() => process.kill(id, 0)).toThrow('ESRCH')
  })
})
