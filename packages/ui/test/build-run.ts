import type { Run } from '@millrace/api/runs'

interface RunParts {
  metrics?: Record<string, number>
  params?: Record<string, string>
  tags?: Record<string, string>
  parent?: string
}

/** A finished run for tests of pure logic. */
export function buildRun(run_id: string, parts: RunParts = {}): Run {
  const { metrics = {}, params = {}, tags = {}, parent } = parts
  const allTags = parent === undefined ? tags : { ...tags, 'mlflow.parentRunId': parent }
  const pairs = (record: Record<string, string>) =>
    Object.entries(record).map(([key, value]) => ({ key, value }))
  return {
    info: {
      run_id,
      run_uuid: run_id,
      run_name: run_id,
      experiment_id: '1',
      user_id: '',
      status: 'FINISHED',
      start_time: 0,
      end_time: 1000,
      artifact_uri: `mlflow-artifacts:/1/${run_id}/artifacts`,
      lifecycle_stage: 'active',
    },
    data: {
      metrics: Object.entries(metrics).map(([key, value]) => ({
        key,
        value,
        timestamp: 0,
        step: 0,
      })),
      params: pairs(params),
      tags: pairs(allTags),
    },
  }
}
