import { spawnSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createConnection } from 'mysql2/promise'
import {
  administer,
  createDatabase,
  type DatabaseServer,
  startDatabaseServer,
} from '../packages/server/test/database-servers.ts'
import { measureCommits } from './disk-limit.ts'
import { newFolder, removeFolder } from './folders.ts'
import { quantile } from './statistics.ts'

/** Databases that every server of a run can keep its data in. */
export const STORES = ['sqlite', 'postgresql', 'mariadb'] as const

export type Store = (typeof STORES)[number]

/** One-row commits of a store. */
export interface CommitRate {
  perSecond: number
  p50Ms: number
}

let running: (DatabaseServer & { store: Store }) | undefined
const uriByFolder = new Map<string, string>()
let limitUri: string | undefined

/** Starts the database server of a run, with fsync; SQLite has none. Returns what ends it. */
export async function openStore(store: Store): Promise<() => Promise<void>> {
  if (store === 'sqlite') return async () => {}
  const server = await startDatabaseServer(store, { isDurable: true })
  if (server === undefined) throw new Error(`${store} is not installed`)
  running = { ...server, store }
  return () => server.stop()
}

/** The database of a server that has this folder: always the same one, empty at first. */
export async function databaseUri(folder: string): Promise<string> {
  if (running === undefined) return `sqlite:///${join(folder, 'tracking.db')}`
  const uri = uriByFolder.get(folder) ?? (await createDatabase(running.adminUri))
  uriByFolder.set(folder, uri)
  return uri
}

/** Bytes of that folder's database, indexes included: pages in use on SQLite, files on a server. */
export async function storeBytes(folder: string): Promise<number> {
  if (running === undefined) return sqliteBytes(folder)
  const uri = await databaseUri(folder)
  const statement =
    running.store === 'postgresql'
      ? 'select pg_database_size(current_database()) as bytes'
      : `select sum(file_size) as bytes from information_schema.innodb_sys_tablespaces
         where name like concat(database(), '/%')`
  const rows = (await administer(uri, statement)) as { bytes: unknown }[]
  return Number(rows[0]?.bytes)
}

/** Pages in use in a server's database, those in its write-ahead log included. */
function sqliteBytes(folder: string): number {
  const file = readdirSync(folder).find((name) => name.endsWith('.db'))
  const sqlite = new DatabaseSync(join(folder, file ?? ''), { readOnly: true, timeout: 5000 })
  const read = (pragma: string) => Number(Object.values(sqlite.prepare(pragma).get() ?? {})[0])
  const pages = read('PRAGMA page_count') - read('PRAGMA freelist_count')
  const bytes = pages * read('PRAGMA page_size')
  sqlite.close()
  return bytes
}

/**
 * What the store of this run can do at that many connections: a row for each commit, nothing around
 * it. SQLite has one writer, so its commits come one after another; PostgreSQL is asked by pgbench.
 */
export async function measureStoreCommits(
  connections: number,
  seconds: number,
): Promise<CommitRate> {
  if (running === undefined) return measureCommits(seconds)
  limitUri ??= await createDatabase(running.adminUri)
  const url = new URL(limitUri)
  const measure = running.store === 'postgresql' ? measurePgbench : measureInserts
  return measure(url, connections, seconds)
}

async function measurePgbench(url: URL, connections: number, seconds: number): Promise<CommitRate> {
  const folder = newFolder()
  try {
    const setUp = join(folder, 'set-up.sql')
    writeFileSync(
      setUp,
      'create table if not exists point (id bigserial primary key, value float8);',
    )
    const script = join(folder, 'insert.sql')
    writeFileSync(script, 'insert into point (value) values (random());')
    pgbench(url, ['-t', '1', '-f', setUp])
    const clients = ['-c', String(connections), '-T', String(Math.max(1, Math.round(seconds)))]
    const output = pgbench(url, [...clients, '-M', 'prepared', '-f', script])
    const read = (pattern: RegExp) => Number(pattern.exec(output)?.[1] ?? Number.NaN)
    return { perSecond: read(/^tps = ([\d.]+)/m), p50Ms: read(/^latency average = ([\d.]+)/m) }
  } finally {
    removeFolder(folder)
  }
}

function pgbench(url: URL, args: string[]): string {
  const place = ['-h', url.hostname, '-p', url.port, '-U', url.username]
  const all = ['-n', ...place, ...args, url.pathname.slice(1)]
  const { status, stdout, stderr } = spawnSync('pgbench', all, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`pgbench failed: ${stderr}`)
  return stdout
}

async function measureInserts(url: URL, connections: number, seconds: number): Promise<CommitRate> {
  const place = { host: url.hostname, port: Number(url.port), user: url.username }
  const open = () => createConnection({ ...place, database: url.pathname.slice(1) })
  const clients = await Promise.all(Array.from({ length: connections }, open))
  try {
    await clients[0]?.query(
      'create table if not exists point (id bigint auto_increment primary key, value double)',
    )
    const times: number[] = []
    const until = performance.now() + seconds * 1000
    await Promise.all(
      clients.map(async (client) => {
        for (let before = performance.now(); before < until; ) {
          await client.execute('insert into point (value) values (?)', [before])
          const after = performance.now()
          times.push(after - before)
          before = after
        }
      }),
    )
    return { perSecond: times.length / seconds, p50Ms: quantile(times, 0.5) }
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
}
