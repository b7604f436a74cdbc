import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testDatabase } from '../../test/shared-database.ts'
import { startServer, type TestServer } from '../../test/start-server.ts'
import type { QuickWrite } from '../db/database.ts'
import type { Db } from '../db/dialect.ts'
import { createRun, quickRun } from './create-run.ts'
import { findKnownRun, rememberRun } from './known-runs.ts'
import { readMetrics } from './log-batch.ts'
import { paramEntry, quickEntry, quickMetric, quickMetrics, tagEntry } from './quick-writes.ts'

let server: TestServer
let experiment_id: string
beforeAll(async () => {
  server = await startServer()
  experiment_id = (await server.client.experiments.create({ name: 'quick' })).experiment_id
})
afterAll(() => server.close())

type Quick = (db: Db, run_id: string) => Promise<QuickWrite | undefined>

const POINT = { key: 'loss', value: 0.25, timestamp: 1000, step: 3 }
const BATCH = [
  { key: 'acc', value: 0.5, timestamp: 1000, step: 1 },
  { key: 'acc', value: 2 ** -40, timestamp: 1001, step: 2 },
]
const QUICK: Record<string, Quick> = {
  'a tag': (db, run_id) =>
    quickEntry(db, run_id, { key: 'stage', value: 'näx\u{1f600}' }, tagEntry),
  'a param': (db, run_id) => quickEntry(db, run_id, { key: 'lr', value: '0.1' }, paramEntry),
  'a point': (db, run_id) => quickMetric(db, run_id, POINT),
  'a batch of points': (db, run_id) => quickMetrics(db, run_id, readMetrics(BATCH)),
}

/** What the write answers that its one statement makes. */
async function answerOf(db: Db, quick: QuickWrite | undefined): Promise<unknown> {
  if (quick === undefined) return undefined
  const { rows, numAffectedRows } = await db.executeQuery(quick.statement)
  return quick.answer({ changes: Number(numAffectedRows ?? rows.length), rows })
}

async function createKnownRun(db: Db): Promise<string> {
  const { run_id } = (await server.client.runs.create({ experiment_id })).run.info
  const { id } = await db
    .selectFrom('run')
    .select('id')
    .where('uuid', '=', run_id)
    .executeTakeFirstOrThrow()
  rememberRun(db, { uuid: run_id, id })
  return run_id
}

async function dataOf(run_id: string) {
  const { run } = await server.client.runs.get({ run_id })
  const tags = (run.data.tags ?? []).filter(({ key }) => key !== 'mlflow.runName')
  return { params: run.data.params ?? [], metrics: run.data.metrics ?? [], tags }
}

describe('a write to a run that is known', () => {
  test('is one statement, which stores what it is given', async () => {
    let run_id = ''
    await server.change(async (db) => {
      run_id = await createKnownRun(db)
      for (const quick of Object.values(QUICK)) {
        expect(await answerOf(db, await quick(db, run_id))).toEqual({})
      }
    })

    const { metrics } = await server.client.metrics.getHistory({ run_id, metric_key: 'acc' })

    expect(await dataOf(run_id)).toEqual({
      params: [{ key: 'lr', value: '0.1' }],
      metrics: [POINT, BATCH[1]],
      tags: [{ key: 'stage', value: 'näx\u{1f600}' }],
    })
    expect(metrics).toEqual(BATCH)
  })

  test('sets a tag again, whether its value is another or the same', async () => {
    await server.change(async (db) => {
      const run_id = await createKnownRun(db)
      for (const value of ['a', 'b', 'b']) {
        const answer = await answerOf(
          db,
          await quickEntry(db, run_id, { key: 'k', value }, tagEntry),
        )
        expect(answer).toEqual({})
        expect((await dataOf(run_id)).tags).toEqual([{ key: 'k', value }])
      }
    })
  })

  test('leaves a param that is there to be compared', async () => {
    await server.change(async (db) => {
      const run_id = await createKnownRun(db)
      await server.client.runs.logParameter({ run_id, key: 'lr', value: '1' })

      const answer = await answerOf(
        db,
        await quickEntry(db, run_id, { key: 'lr', value: '2' }, paramEntry),
      )

      expect(answer).toBeUndefined()
      expect((await dataOf(run_id)).params).toEqual([{ key: 'lr', value: '1' }])
    })
  })
})

describe.each(Object.entries(QUICK))('%s', (_what, quick) => {
  const changes: [string, (run_id: string) => Promise<unknown>][] = [
    ['ended', (run_id) => server.client.runs.update({ run_id, status: 'FINISHED' })],
    ['was deleted', (run_id) => server.client.runs.delete({ run_id })],
  ]

  test.each(changes)('is not stored by itself in a run that %s', async (_, change) => {
    await server.change(async (db) => {
      const run_id = await createKnownRun(db)
      await change(run_id)

      expect(await answerOf(db, await quick(db, run_id))).toBeUndefined()
      expect(await dataOf(run_id)).toEqual({ params: [], metrics: [], tags: [] })
    })
  })

  test('is not stored in another run that took the place of the one known', async () => {
    await server.change(async (db) => {
      const run_id = await createKnownRun(db)
      rememberRun(db, { uuid: 'gone', id: findKnownRun(db, run_id) ?? 0 })

      expect(await answerOf(db, await quick(db, 'gone'))).toBeUndefined()
      expect(await dataOf(run_id)).toEqual({ params: [], metrics: [], tags: [] })
    })
  })
})

const takesOneStatement = testDatabase === 'postgresql' ? [testDatabase] : []
describe.each(takesOneStatement)('a run on %s', () => {
  const facts = () => ({
    experiment_id,
    uuid: crypto.randomUUID().replaceAll('-', ''),
    name: 'n',
    user_id: 'ann',
    start_time: 12,
    tags: [
      { key: 'mlflow.runName', value: 'n' },
      { key: 'odd', value: '{"a": "b\\", \'c\'}' },
    ],
  })

  test('is created with its tags in one statement, once, however often that is sent', async () => {
    await server.change(async (db) => {
      await createRun(db, facts())
      const [run, compared] = [facts(), facts()]
      const slow = await createRun(db, compared)
      for (const _ of ['first', 'again']) {
        const answer = await answerOf(db, await quickRun(db, () => run))
        const text = JSON.stringify(slow).replaceAll(compared.uuid, run.uuid)
        expect(answer).toEqual(JSON.parse(text))
      }
      expect((await dataOf(run.uuid)).tags).toEqual([run.tags[1]])
    })
  })

  test('is not created by itself in an experiment that was deleted', async () => {
    await server.change(async (db) => {
      const gone = (await server.client.experiments.create({ name: 'gone' })).experiment_id
      await createRun(db, { ...facts(), experiment_id: gone })
      await server.client.experiments.delete({ experiment_id: gone })

      const wanted = { ...facts(), experiment_id: gone }
      const answer = await answerOf(db, await quickRun(db, () => wanted))

      expect(answer).toBeUndefined()
    })
  })
})
