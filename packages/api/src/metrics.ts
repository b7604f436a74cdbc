import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { MetricOut } from './runs.ts'
import { Int64, NextPageToken, RequiredText } from './wire.ts'

/** Most points a page of `get-history` may be asked for in one go by the bulk endpoint. */
export const HISTORY_BULK_MAX = 25_000
/** Most sampled steps that `get-history-bulk-interval` answers. */
export const HISTORY_INTERVAL_MAX = 2500
/** Most runs one bulk request may name. */
export const HISTORY_RUNS_MAX = 100

export const metrics = {
  getHistory: endpoint({
    method: 'GET',
    path: '/mlflow/metrics/get-history',
    summary: 'All points of a metric of a run, in the order of time; paged when asked.',
    access: { permission: 'READ', on: 'run', field: 'run_id' },
    effect: 'read',
    mayLag: true,
    input: z.object({
      run_id: z.string().optional(),
      run_uuid: z.string().optional(),
      metric_key: RequiredText,
      page_token: z.string().optional(),
      max_results: Int64.optional(),
    }),
    output: z.object({ metrics: z.array(MetricOut).optional(), next_page_token: NextPageToken }),
  }),
  getHistoryBulkInterval: endpoint({
    method: 'GET',
    path: '/mlflow/metrics/get-history-bulk-interval',
    summary: 'Points of a metric of several runs, thinned to steps that the runs share.',
    access: { permission: 'READ', on: 'run', field: 'run_ids' },
    effect: 'read',
    mayLag: true,
    input: z.object({
      run_ids: z.array(z.string()),
      metric_key: RequiredText,
      start_step: Int64.optional(),
      end_step: Int64.optional(),
      max_results: Int64.optional(),
    }),
    output: z.object({ metrics: z.array(MetricOut).optional() }),
  }),
  getHistoryBulk: endpoint({
    method: 'GET',
    path: '/mlflow/metrics/get-history-bulk',
    audience: 'ui',
    summary: 'All points of a metric of several runs, cut at `max_results` (2.x pages).',
    access: { permission: 'READ', on: 'run', field: 'run_id' },
    effect: 'read',
    mayLag: true,
    input: z.object({
      run_id: z.array(z.string()).optional(),
      metric_key: z.string().optional(),
      max_results: Int64.optional(),
    }),
    output: z.object({ metrics: z.array(MetricOut) }),
  }),
}
