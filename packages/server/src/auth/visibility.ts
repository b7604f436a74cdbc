import { type Expression, type SqlBool, sql } from 'kysely'
import type { Caller } from './caller.ts'

/**
 * A condition on rows that the caller may see, to be ANDed to every search and list. `column` is
 * the id of the experiment or registered model in that statement.
 */
export type Visibility = (column: Expression<number>) => Expression<SqlBool>

/** Experiments (with their runs and logged models) that the caller may read. */
export function visibleExperiments(_caller: Caller): Visibility {
  return () => sql<SqlBool>`1 = 1`
}

/** Registered models (with their versions) that the caller may read. */
export function visibleModels(_caller: Caller): Visibility {
  return () => sql<SqlBool>`1 = 1`
}
