import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'
import type { Db } from './dialect.ts'
import { deleteOldWitnesses, WriterWitness } from './writer-witness.ts'

vi.setConfig({ testTimeout: 60_000 })

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

function note(db: Db, witness: WriterWitness): Promise<number> {
  return db.transaction().execute((db) => witness.note(db))
}

async function batches(db: Db): Promise<number[]> {
  const rows = await db.selectFrom('writer_witness').select('batch').orderBy('batch').execute()
  return rows.map(({ batch }) => batch)
}

test('a transaction that was undone is not stored, and stays so however often that is asked', async () => {
  await server.change(async (db) => {
    const witness = new WriterWitness()
    const stored = await note(db, witness)
    let undone = 0
    const undoing = db.transaction().execute(async (db) => {
      undone = await witness.note(db)
      throw new Error('undone')
    })
    await expect(undoing).rejects.toThrow('undone')

    for (const _again of [1, 2]) {
      expect(await witness.isStored(db, stored)).toBe(true)
      expect(await witness.isStored(db, undone)).toBe(false)
    }
    await db.deleteFrom('writer_witness').execute()
  })
})

test('a writer keeps few rows, and those that are in doubt', async () => {
  await server.change(async (db) => {
    const witness = new WriterWitness()
    const first = await note(db, witness)
    const doubted = await note(db, witness)
    witness.doubt(doubted)
    for (let i = 0; i < 600; i++) await note(db, witness)

    const kept = await batches(db)
    expect(kept).not.toContain(first)
    expect(await witness.isStored(db, doubted)).toBe(true)

    witness.settled(doubted)
    await note(db, witness)
    expect((await batches(db)).length).toBeLessThanOrEqual(256)
    await db.deleteFrom('writer_witness').execute()
  })
})

test('what a writer left that is gone is removed after a day', async () => {
  await server.change(async (db) => {
    const hour = 3_600_000
    const left = (writer: string, hours: number) => ({
      writer,
      batch: 1,
      time: Date.now() - hours * hour,
    })
    await db
      .insertInto('writer_witness')
      .values([left('gone', 25), left('there', 23)])
      .execute()

    await deleteOldWitnesses(db)

    const rows = await db.selectFrom('writer_witness').select('writer').execute()
    expect(rows).toEqual([{ writer: 'there' }])
  })
})
