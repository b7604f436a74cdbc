import { join } from 'node:path'
import {
  createDatabase,
  type DatabaseServer,
  startDatabaseServer,
} from '../packages/server/test/database-servers.ts'

/** Databases that every server of a run can keep its data in. */
export const STORES = ['sqlite', 'postgresql', 'mariadb'] as const

export type Store = (typeof STORES)[number]

let running: DatabaseServer | undefined
const uriByFolder = new Map<string, string>()

/** Starts the database server of a run, with fsync; SQLite has none. Returns what ends it. */
export async function openStore(store: Store): Promise<() => Promise<void>> {
  if (store === 'sqlite') return async () => {}
  const server = await startDatabaseServer(store, { isDurable: true })
  if (server === undefined) throw new Error(`${store} is not installed`)
  running = server
  return () => server.stop()
}

/** The database of a server that has this folder: always the same one, empty at first. */
export async function databaseUri(folder: string): Promise<string> {
  if (running === undefined) return `sqlite:///${join(folder, 'tracking.db')}`
  const uri = uriByFolder.get(folder) ?? (await createDatabase(running.adminUri))
  uriByFolder.set(folder, uri)
  return uri
}
