import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { newFolder, removeFolder } from './folders.ts'
import { quantile } from './statistics.ts'

/** How fast this disk makes one row durable: commits one after another (WAL, synchronous=FULL). */
export function measureCommits(seconds: number): { perSecond: number; p50Ms: number } {
  const folder = newFolder()
  const sqlite = new DatabaseSync(join(folder, 'limit.db'))
  sqlite.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  sqlite.exec('CREATE TABLE point (id INTEGER PRIMARY KEY, value REAL)')
  const insert = sqlite.prepare('INSERT INTO point (value) VALUES (?)')
  const times: number[] = []
  const until = performance.now() + seconds * 1000
  for (let before = performance.now(); before < until; ) {
    insert.run(before)
    const after = performance.now()
    times.push(after - before)
    before = after
  }
  sqlite.close()
  removeFolder(folder)
  return { perSecond: times.length / seconds, p50Ms: quantile(times, 0.5) }
}
