import { type Db, insertRows } from '../db/dialect.ts'
import { buildRunJson } from './run-reading.ts'
import type { RunRow } from './run-store.ts'

const replaceDoc = insertRows('run_doc', {
  columns: ['run', 'data'],
  key: ['run'],
  whenThere: 'replace',
})

/**
 * Keeps an ended run, whose metrics are folded, as one JSON text, so that a page of a thousand runs
 * is a thousand rows. Whatever writes to the run later deletes the text (`beforeWrite`).
 */
export async function documentRun(db: Db, row: RunRow): Promise<void> {
  const data = await buildRunJson(db, row)
  await replaceDoc(db, [{ run: row.id, data }])
}
