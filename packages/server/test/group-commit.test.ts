import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { invalid } from '@millrace/api/errors'
import { Kysely } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Writes } from '../src/db/database.ts'
import type { Db } from '../src/db/dialect.ts'
import { GroupCommit } from '../src/db/group-commit.ts'
import { keyNames } from '../src/db/key-names.ts'
import { migrate } from '../src/db/migrate.ts'
import type { Schema } from '../src/db/schema.ts'
import { openSqliteFile, sqliteDialect } from '../src/db/sqlite-dialect.ts'

let folder: string
let db: Db
let group: GroupCommit
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-group-'))
  const sqlite = openSqliteFile(join(folder, 'group.db'), {
    synchronous: 'normal',
    queryOnly: false,
  })
  db = new Kysely<Schema>({ dialect: sqliteDialect(sqlite) })
  await migrate(db)
  const writes: Writes = {
    ensure: async (db, _caller, name: string) => (await keyNames(db).ensure(db, [name])).get(name),
    refuse: async (db, _caller, name: string) => {
      await keyNames(db).ensure(db, [name])
      throw invalid('refused')
    },
    // Allowed by each statement and found out at the end: the commit itself fails.
    failCommit: async () => {
      sqlite.exec('PRAGMA defer_foreign_keys = ON')
      sqlite.exec(`insert into experiment_tag (experiment, key, value) values (404, 'k', 'v')`)
    },
  }
  group = new GroupCommit({ sqlite, db, writes })
})
afterEach(async () => {
  await db.destroy()
  await rm(folder, { recursive: true })
})

function run(...calls: [name: string, input?: string][]) {
  return group.run(calls.map(([name, input], id) => ({ id, name, caller: undefined, input })))
}

async function storedNames(): Promise<string[]> {
  const rows = await db.selectFrom('key_name').select('name').orderBy('name').execute()
  return rows.map(({ name }) => name)
}

test('a write that is refused leaves nothing and takes none of its group with it', async () => {
  const answers = await run(['ensure', 'first'], ['refuse', 'second'], ['ensure', 'third'])

  expect(answers.map((answer) => 'output' in answer)).toEqual([true, false, true])
  expect(await storedNames()).toEqual(['first', 'third'])
})

test('a commit that fails is told to every write of the group and keeps none of them', async () => {
  const answers = await run(['ensure', 'first'], ['failCommit'])

  expect(answers).toEqual(
    [0, 1].map((id) => ({
      id,
      error: expect.objectContaining({ code: 'TEMPORARILY_UNAVAILABLE', retryAfterSeconds: 1 }),
    })),
  )
  expect(await storedNames()).toEqual([])
})

test('a name whose commit failed is inserted anew, also when it was seen again after a refusal', async () => {
  await run(['ensure', 'loss'], ['refuse', 'other'], ['ensure', 'loss'], ['failCommit'])

  const answers = await run(['ensure', 'accuracy'], ['ensure', 'loss'])

  const ids = answers.map((answer) => ('output' in answer ? answer.output : undefined))
  expect(new Set(ids).size).toBe(2)
  expect(await storedNames()).toEqual(['accuracy', 'loss'])
})
