import type { Run } from '@millrace/api/runs'
import { useQuery } from '@tanstack/react-query'
import { client, query } from '../../query.ts'
import { quoteText } from '../../search-text.ts'

const LIVE_MS = 2000
const EXPERIMENTS_MAX = 1000
const SHOWN = 20

/** The runs that a training job has started, by the tag that its environment puts on them. */
export function useJobRuns(name: string, isLive: boolean): readonly Run[] {
  const { data: found } = useQuery(
    query(client.experiments.search, { max_results: EXPERIMENTS_MAX }),
  )
  const experiment_ids = (found?.experiments ?? []).map(({ experiment_id }) => experiment_id)
  const { data } = useQuery({
    ...query(client.runs.search, {
      experiment_ids,
      filter: `tags.\`sagemaker.training_job_name\` = ${quoteText(name)}`,
      order_by: ['attributes.start_time ASC'],
      max_results: SHOWN,
    }),
    enabled: experiment_ids.length > 0,
    refetchInterval: isLive ? LIVE_MS : false,
  })
  return data?.runs ?? []
}
