import { ApiError } from '@millrace/api/errors'
import type { Db } from '../db/dialect.ts'
import { parseFilter } from './filter.ts'
import { runGrammar } from './grammar-runs.ts'
import { type LoggedModelOrderInput, parseRunOrderBy } from './order-by.ts'
import { RUNS_EXPERIMENT } from './recorded-database.ts'
import { searchExperimentsQuery } from './search-experiments-query.ts'
import { searchLoggedModelsQuery } from './search-logged-models-query.ts'
import { searchModelVersionsQuery } from './search-model-versions-query.ts'
import { searchRegisteredModelsQuery } from './search-registered-models-query.ts'
import { searchRuns } from './search-runs-query.ts'
import { ALWAYS } from './test-conditions.ts'

/** Exports one search per entity that answers names with spaces between, as the records do. */

const all = {
  visibility: () => ALWAYS,
  workspace: 'default',
  maxResults: 100,
  pageToken: undefined,
  viewType: 'ACTIVE_ONLY',
} as const

export interface Question {
  filter?: string
  order_by?: readonly string[]
}

/**
 * The names that were found, or "400" and the beginning of the message, as much of it as `expected`
 * has.
 */
export async function answer<Q extends { filter?: string }>(
  find: (db: Db, question: Q) => Promise<string>,
  db: Db,
  question: string | Q,
  expected: string,
): Promise<string> {
  try {
    return await find(db, typeof question === 'string' ? ({ filter: question } as Q) : question) // A text stands for a filter alone.
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return `${error.status} ${error.message}`.slice(0, expected.length)
  }
}

/** The first two characters of the run ids. */
export async function runsFound(db: Db, { filter, order_by }: Question): Promise<string> {
  const { runs } = await searchRuns(db, {
    ...all,
    experiments: [RUNS_EXPERIMENT],
    comparisons: parseFilter(filter, runGrammar),
    orderBy: parseRunOrderBy(order_by),
  })
  return runs.map(({ uuid }) => uuid.slice(0, 2)).join(' ')
}

export async function experimentsFound(db: Db, { filter, order_by }: Question): Promise<string> {
  const { rows } = await searchExperimentsQuery(db, { ...all, filter, orderBy: order_by })
  return rows.map(({ name }) => name).join(' ')
}

export async function modelsFound(db: Db, { filter, order_by }: Question): Promise<string> {
  const { rows } = await searchRegisteredModelsQuery(db, { ...all, filter, orderBy: order_by })
  return rows.map(({ name }) => name).join(' ')
}

/** `name/version` */
export async function versionsFound(db: Db, { filter, order_by }: Question): Promise<string> {
  const { rows } = await searchModelVersionsQuery(db, { ...all, filter, orderBy: order_by })
  return rows.map(({ name, version }) => `${name}/${version}`).join(' ')
}

export interface LoggedModelQuestion {
  filter?: string
  datasets?: readonly { dataset_name?: string; dataset_digest?: string }[]
  order_by?: readonly LoggedModelOrderInput[]
}

export async function loggedModelsFound(db: Db, question: LoggedModelQuestion): Promise<string> {
  const { rows } = await searchLoggedModelsQuery(db, {
    ...all,
    experiments: [RUNS_EXPERIMENT],
    filter: question.filter,
    datasets: question.datasets,
    orderBy: question.order_by,
  })
  return rows.map(({ name }) => name).join(' ')
}
