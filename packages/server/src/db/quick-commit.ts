import { ApiError } from '@millrace/api/errors'
import type { Kysely } from 'kysely'
import type { QuickWrite, Writes } from './database.ts'
import { ConnectionLost, type RawResult, TransactionConflict, transact } from './pooled-driver.ts'
import type { Schema } from './schema.ts'

/** A write that waits for its answer. */
export interface Call {
  name: string
  caller: unknown
  input: unknown
  /** Calls are run in the order of their keys: then groups lock rows in one order everywhere. */
  key: string
  resolve(output: unknown): void
  reject(error: unknown): void
}

/** How long a group waits for a database that went away before its writes are refused. */
export const PATIENCE_MS = 4000
export const RETRY_PAUSE_MS = 150

/**
 * Commits those calls of a group that are one statement, all in one transaction, and answers them.
 * Returns the calls that are left, in their order: those that take more, those whose statement found
 * that it may not write, and all of them when one failed, for then none was stored.
 */
export async function commitQuick(
  db: Kysely<Schema>,
  writes: Writes,
  group: readonly Call[],
): Promise<Call[]> {
  const left = new Set(group)
  const quick = new Map<Call, QuickWrite>()
  for (const call of group) {
    try {
      const write = await writes[call.name]?.quick?.(db, call.caller, call.input as never)
      if (write !== undefined) quick.set(call, write)
    } catch (error) {
      // What else can go wrong here is better told by the write itself.
      if (!isRefusal(error)) continue
      call.reject(error)
      left.delete(call)
    }
  }
  try {
    const results = await store(db, [...quick.values()])
    for (const [index, [call, write]] of [...quick].entries()) {
      const { changes = 0, rows = [] } = results[index] ?? {}
      const output = write.answer({ changes, rows })
      if (output === undefined) continue
      call.resolve(output)
      left.delete(call)
    }
  } catch (error) {
    if (error instanceof ConnectionLost) {
      for (const call of quick.keys()) {
        call.reject(error)
        left.delete(call)
      }
    }
  }
  return group.filter((call) => left.has(call))
}

function isRefusal(error: unknown): boolean {
  const mayPass = error instanceof ConnectionLost || error instanceof TransactionConflict
  return error instanceof ApiError && !mayPass
}

/** A connection that broke may have taken the commit with it or not: sent again, nothing doubles. */
async function store(db: Kysely<Schema>, quick: readonly QuickWrite[]): Promise<RawResult[]> {
  if (quick.length === 0) return []
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    try {
      return await transact(
        db,
        quick.map(({ statement }) => statement),
      )
    } catch (error) {
      if (!(error instanceof ConnectionLost) || Date.now() > deadline) throw error
      await pause(RETRY_PAUSE_MS)
    }
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
