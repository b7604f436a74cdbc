import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'
import type { Db } from '../db/dialect.ts'
import { sortAndDropEquals } from '../metrics/point-order.ts'
import { type Int64, type Points, PointsBuilder } from '../metrics/points.ts'
import { insertChunk } from './metric-sealing.ts'
import { appendPoints, openSeries } from './metric-store.ts'
import type { RunRow } from './run-store.ts'
import { readPage } from './series-pages.ts'

const KEY = 1
const OTHER_KEY = 2
const POINTS = 40_000
const CHUNK = 1000

type Point = [key: number, step: Int64, timestamp: Int64, value: number]

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

async function createRun(): Promise<RunRow> {
  const { run_id } = (await server.client.runs.create({ experiment_id: '0' })).run.info
  return server.db
    .selectFrom('run')
    .selectAll()
    .where('uuid', '=', run_id)
    .executeTakeFirstOrThrow()
}

function pointsOf(points: readonly Point[]): Points {
  const builder = new PointsBuilder()
  for (const point of points) builder.add(...point)
  return sortAndDropEquals(builder.points())
}

/** Points `from` to `to`, one a millisecond. */
function line(from: number, to: number, key = KEY): Point[] {
  return Array.from({ length: to - from }, (_, i) => [key, from + i, 1000 + from + i, i])
}

async function seal(db: Db, run: RunRow, pieces: readonly (readonly Point[])[]): Promise<void> {
  for (const piece of pieces) {
    const owner = { run: run.id, experiment: run.experiment, level: 2 }
    await insertChunk(db, owner, pointsOf(piece))
  }
}

/** Pieces of a long line, of which one at a time is done otherwise. */
function longLine(otherwise: Record<number, Point[]> = {}): Point[][] {
  return Array.from({ length: POINTS / CHUNK }, (_, i) => {
    return otherwise[i] ?? line(i * CHUNK, (i + 1) * CHUNK)
  })
}

const shapes: Record<string, { sealed: Point[][]; unsealed?: Point[] }> = {
  'a line': { sealed: longLine() },
  'a line in the wrong order of its pieces': { sealed: longLine().reverse() },
  'a line that goes on in the tail': {
    sealed: longLine(),
    unsealed: line(POINTS, POINTS + 500),
  },
  'a tail that is late': { sealed: longLine(), unsealed: line(20_500, 20_600, KEY) },
  'a tail of another metric': { sealed: longLine(), unsealed: line(500, 600, OTHER_KEY) },
  'points that are sealed and in the tail': { sealed: longLine(), unsealed: line(39_500, 40_500) },
  'pieces that overlap': { sealed: longLine({ 7: line(6500, 8500), 8: line(8400, 9000) }) },
  'pieces that end and begin in one millisecond': {
    sealed: longLine({ 3: [...line(3000, 4000), [KEY, 77, 5000, 1], [KEY, 1, 5000, 1]] }),
  },
  'a piece that holds another metric too': {
    sealed: longLine({ 0: [...line(0, 500), ...line(0, 500, OTHER_KEY)] }),
  },
  'a piece in the middle that holds another metric too': {
    sealed: longLine({ 20: [...line(20_000, 20_500), ...line(20_000, 20_500, OTHER_KEY)] }),
  },
  'times that no double holds': {
    sealed: longLine({
      39: [
        [KEY, 1, 2n ** 63n - 1n, 1],
        [KEY, 2, 2n ** 63n - 1n, 2],
      ],
    }),
    unsealed: [[KEY, 5, -(2n ** 63n), 3]],
  },
  'one time for all': {
    sealed: longLine().map((piece) => piece.map(([key, step, , value]) => [key, step, 5, value])),
  },
}

const PAGES = [
  [0, 1],
  [0, 1000],
  [0, 2500],
  [999, 1001],
  [6400, 9100],
  [20_100, 20_900],
  [39_400, 40_000],
  [39_999, 40_002],
  [40_400, 41_000],
  [60_000, 60_010],
] as const

describe.each(Object.entries(shapes))('a page of %s', (_name, { sealed, unsealed }) => {
  test('is what the whole series has there', async () => {
    const run = await createRun()
    await server.change(async (db) => {
      await seal(db, run, sealed)
      if (unsealed !== undefined) await appendPoints(db, run, pointsOf(unsealed))
    })
    const whole = await openSeries(server.db, run, KEY)

    for (const [from, to] of PAGES) {
      const { points, hasMore } = await readPage(server.db, { run, key: KEY }, { from, to }, 0)
      expect(rowsOf(points), `${from} to ${to}`).toEqual(rowsOf(whole.slice(from, to)))
      expect(hasMore, `more after ${to}`).toBe(to < whole.n)
    }
  })
})

test('the first page of a long history reads no chunk that is not on it', async () => {
  const run = await createRun()
  await server.change(async (db) => {
    await seal(db, run, longLine())
    await db
      .updateTable('metric_chunk')
      .set({ data: new Uint8Array([3, 0, 0, 0, 0]) })
      .where('run', '=', run.id)
      .where('min_step', '>=', 2000)
      .execute()
  })

  const page = await readPage(server.db, { run, key: KEY }, { from: 0, to: 1500 })

  expect([page.points.n, page.hasMore]).toEqual([1500, true])
  await expect(readPage(server.db, { run, key: KEY }, { from: 0, to: 2500 })).rejects.toThrow()
})

test('chunks that do not tell their times, as those of the first release, are read', async () => {
  const run = await createRun()
  await server.change(async (db) => {
    await seal(db, run, longLine().reverse())
    await db
      .updateTable('metric_chunk')
      .set({ min_ts: null, max_ts: null })
      .where('run', '=', run.id)
      .where('min_step', '=', 0)
      .execute()
  })

  const { points } = await readPage(server.db, { run, key: KEY }, { from: 0, to: 1500 })

  expect(rowsOf(points).map(([step]) => step)).toEqual(line(0, 1500).map(([, step]) => step))
})

function rowsOf({ n, steps, timestamps, values }: Points): unknown[][] {
  return Array.from({ length: n }, (_, i) => [steps[i], timestamps[i], values[i]].map(Number))
}
