import { invariant } from '@millrace/api/errors'
import { type Compilable, type RawBuilder, sql } from 'kysely'
import { compileOnce, type Db } from './dialect.ts'

/** Few, so that each statement stays prepared; the last is the most values of one. */
const SIZES = [1, 4, 16, 64]

/**
 * A statement with a list of 1 to 64 values, for databases that take no list as one parameter. It is
 * compiled for a few lengths; a list in between is filled up with its last value, so that the
 * statement must not count them.
 */
export function compileForLists<Value, Row>(
  build: (db: Db, list: RawBuilder<unknown>) => Compilable<Row>,
): (db: Db, values: readonly Value[]) => Promise<Row[]> {
  const selects = SIZES.map((size) => ({
    size,
    select: compileOnce<Record<string, Value>, Row>((db, param) =>
      build(db, sql.join(Array.from({ length: size }, (_, i) => param(String(i))))),
    ),
  }))
  return (db, values) => {
    const chosen = selects.find(({ size }) => size >= values.length)
    const last = values.at(-1)
    invariant(chosen !== undefined && last !== undefined, `a list of ${values.length} values`)
    const filled = Array.from({ length: chosen.size }, (_, i) => values[i] ?? last)
    return chosen.select(db, Object.fromEntries(filled.map((value, i) => [String(i), value])))
  }
}
