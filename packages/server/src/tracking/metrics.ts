import type { Api } from '@millrace/api/api'
import { invalid, invariant } from '@millrace/api/errors'
import { HISTORY_BULK_MAX, HISTORY_INTERVAL_MAX, HISTORY_RUNS_MAX } from '@millrace/api/metrics'
import type { Db } from '../db/dialect.ts'
import { keyNames } from '../db/key-names.ts'
import { type Handlers, JsonText } from '../handlers.ts'
import { intAt, type Points, PointsBuilder } from '../metrics/points.ts'
import { type StepRange, samplePoints } from '../metrics/sampling.ts'
import { parsePageToken } from '../search/page-token.ts'
import { doubleText } from './run-reading.ts'
import { findRun, requireRunId } from './run-store.ts'
import { readPage, type SeriesName } from './series-pages.ts'
import { readWholeSeries } from './whole-series.ts'

export const metrics: Handlers<Api['metrics']> = {
  async getHistory({ db }, input) {
    const { metric_key, max_results, page_token } = input
    if (max_results !== undefined && max_results <= 0) throw badMaxResults(max_results)
    const offset = parseOffsetToken(page_token)
    const to = max_results === undefined ? Infinity : offset + Number(max_results)
    const found = await findSeries(db, requireRunId(input), metric_key)
    if (found === undefined) return new JsonText('{}')
    const { points: page, hasMore } = await readPage(db, found, { from: offset, to })
    const token = hasMore ? `,"next_page_token":"${formatOffsetToken(to)}"` : ''
    if (page.n === 0) return new JsonText('{}')
    return new JsonText(`{"metrics":[${pointTexts(metric_key, page).join(',')}]${token}}`)
  },

  async getHistoryBulkInterval({ db }, input) {
    const { run_ids, metric_key } = input
    if (run_ids.length > HISTORY_RUNS_MAX) {
      throw invalid(
        `GetMetricHistoryBulkInterval request must specify at most ${HISTORY_RUNS_MAX} run_ids. Received ${run_ids.length} run_ids.`,
      )
    }
    const range = readRange(input)
    const max = Number(input.max_results ?? HISTORY_INTERVAL_MAX)
    if (max <= 0 || max > HISTORY_INTERVAL_MAX) {
      throw invalid(`max_results must be between 1 and ${HISTORY_INTERVAL_MAX}.`)
    }
    const series = await findWholeSeries(db, run_ids, metric_key)
    const texts: string[] = []
    for (const run_id of run_ids) {
      const points = series.get(run_id)
      if (points === undefined) continue
      texts.push(...pointTexts(metric_key, samplePoints(points, max, range), run_id))
    }
    return new JsonText(texts.length === 0 ? '{}' : `{"metrics":[${texts.join(',')}]}`)
  },

  async getHistoryBulk({ db }, { run_id: run_ids = [], metric_key, max_results }) {
    checkRunCount(run_ids.length)
    if (metric_key === undefined) {
      throw invalid('GetMetricHistoryBulk request must specify a metric_key.')
    }
    const max = Math.min(Number(max_results ?? HISTORY_BULK_MAX), HISTORY_BULK_MAX)
    const texts: string[] = []
    for (const run_id of [...new Set(run_ids)].sort()) {
      const found = await findSeries(db, run_id, metric_key)
      if (found === undefined) continue
      const { points } = await readPage(db, found, { from: 0, to: max - texts.length })
      texts.push(...pointTexts(metric_key, points, run_id))
    }
    return new JsonText(`{"metrics":[${texts.join(',')}]}`)
  },
}

/** History only ever grows at its end, so a page begins at a count of points, as upstream's do. */
function parseOffsetToken(token: string | undefined): number {
  const start = parsePageToken(token, { entity: 'metric history', request: null, columns: [] })
  return start !== undefined && 'offset' in start ? start.offset : 0
}

function formatOffsetToken(offset: number): string {
  return Buffer.from(`{"offset": ${offset}}`).toString('base64')
}

const NO_POINTS = new PointsBuilder(0).points()

/** The series of a run; undefined, which answers as an empty one, as in MLflow 3.17, when the run or the metric is unknown. */
async function findSeries(
  db: Db,
  run_id: string,
  metric_key: string,
): Promise<SeriesName | undefined> {
  const run = await findRun(db, run_id)
  if (run === undefined) return undefined
  const key = (await keyNames(db).find(db, [metric_key])).get(metric_key)
  return key === undefined ? undefined : { run, key }
}

/** The series of those runs that there are. */
async function findWholeSeries(
  db: Db,
  run_ids: readonly string[],
  metric_key: string,
): Promise<Map<string, Points>> {
  const key = (await keyNames(db).find(db, [metric_key])).get(metric_key)
  if (key === undefined || run_ids.length === 0) return new Map()
  const runs = await db
    .selectFrom('run')
    .select(['id', 'uuid', 'experiment'])
    .where('uuid', 'in', run_ids)
    .execute()
  const series = await readWholeSeries(db, runs, key)
  return new Map(runs.map(({ id, uuid }) => [uuid, series.get(id) ?? NO_POINTS]))
}

/** Points as JSON texts; written by hand because objects would cost more than the read. */
function pointTexts(name: string, points: Points, run_id?: string): string[] {
  const key = JSON.stringify(name)
  const suffix = run_id === undefined ? '}' : `,"run_id":${JSON.stringify(run_id)}}`
  const texts: string[] = []
  for (let i = 0; i < points.n; i++) {
    const value = points.values[i]
    invariant(value !== undefined, 'a point has a value')
    const text = Number.isNaN(value) ? '"NaN"' : doubleText(value)
    texts.push(
      `{"key":${key},"value":${text},"timestamp":${intAt(points.timestamps, i)},"step":${intAt(points.steps, i)}${suffix}`,
    )
  }
  return texts
}

function checkRunCount(count: number): void {
  if (count === 0) throw invalid('GetMetricHistoryBulk request must specify at least one run_id.')
  if (count <= HISTORY_RUNS_MAX) return
  throw invalid(
    `GetMetricHistoryBulk request cannot specify more than ${HISTORY_RUNS_MAX} run_ids. Received ${count} run_ids.`,
  )
}

function readRange({
  start_step: start,
  end_step: end,
}: {
  start_step?: number | bigint | undefined
  end_step?: number | bigint | undefined
}): StepRange | undefined {
  if (start === undefined && end === undefined) return undefined
  if (start === undefined || end === undefined) {
    throw invalid('If either start step or end step are specified, both must be specified.')
  }
  if (start > end) {
    throw invalid(
      `end_step must be greater than start_step. Found start_step=${start} and end_step=${end}.`,
    )
  }
  return { start, end }
}

function badMaxResults(max_results: number | bigint) {
  return invalid(
    `Invalid value ${max_results} for parameter 'max_results' supplied. It must be a positive integer.`,
  )
}
