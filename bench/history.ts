import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kysely } from 'kysely'
import type { Db } from '../packages/server/src/db/dialect.ts'
import { migrate } from '../packages/server/src/db/migrate.ts'
import type { Schema } from '../packages/server/src/db/schema.ts'
import { openSqliteFile, sqliteDialect } from '../packages/server/src/db/sqlite-dialect.ts'
import { type Points, PointsBuilder } from '../packages/server/src/metrics/points.ts'
import { samplePoints } from '../packages/server/src/metrics/sampling.ts'
import { insertChunk } from '../packages/server/src/tracking/metric-sealing.ts'
import { appendPoints } from '../packages/server/src/tracking/metric-store.ts'
import { readPage } from '../packages/server/src/tracking/series-pages.ts'
import { readWholeSeries } from '../packages/server/src/tracking/whole-series.ts'

/**
 * What reading and writing one metric costs by how many points it has: `node bench/history.ts`.
 * Milliseconds of processor time on SQLite, which is what they take when nothing else runs.
 */

const SIZES = [10_000, 100_000, 1_000_000]
const CHUNK = 1024
const PAGE = 1000
const SAMPLE = 320
const REPEATS = 200
const KEY = 1
const RUN = { id: 1, uuid: 'u'.repeat(32), experiment: 1 }

for (const size of SIZES) await measure(size)

async function measure(size: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  const path = join(folder, 'history.db')
  const file = openSqliteFile(path, { synchronous: 'normal', queryOnly: false })
  const db = new Kysely<Schema>({ dialect: sqliteDialect(file) })
  try {
    await migrate(db)
    await db.transaction().execute((db) => fill(db, size))
    let from = 0
    const page = async () => {
      await readPage(db, { run: RUN, key: KEY }, { from, to: from + PAGE })
      from = (from + PAGE) % size
    }
    const sample = async () => {
      const points = (await readWholeSeries(db, [RUN], KEY)).get(RUN.id)
      if (points !== undefined) samplePoints(points, SAMPLE)
    }
    const append = () => appendPoints(db, RUN as never, line(size, size + PAGE))

    print(size, 'first page', await time(page, 1))
    await time(page, 20)
    print(size, `page of ${PAGE}`, await time(page, REPEATS))
    await sample()
    print(size, `sample of ${SAMPLE}`, await time(sample, REPEATS))
    await time(append, 5)
    print(size, `append of ${PAGE}`, await time(append, REPEATS))
  } finally {
    await db.destroy()
    rmSync(folder, { recursive: true })
  }
}

async function fill(db: Db, size: number): Promise<void> {
  for (let from = 0; from < size; from += CHUNK) {
    const points = line(from, Math.min(size, from + CHUNK))
    await insertChunk(db, { run: RUN.id, experiment: RUN.experiment, level: 2 }, points)
  }
}

function line(from: number, to: number): Points {
  const builder = new PointsBuilder(to - from)
  for (let i = from; i < to; i++) builder.add(KEY, i, 1000 + i, Math.sin(i))
  return builder.points()
}

async function time(action: () => Promise<unknown>, repeats: number): Promise<number> {
  const start = process.cpuUsage()
  for (let repeat = 0; repeat < repeats; repeat++) await action()
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000 / repeats
}

function print(size: number, what: string, ms: number): void {
  console.log(`${String(size).padStart(9)} points: ${ms.toFixed(3).padStart(9)} ms  ${what}`)
}
