import type { Run } from '@millrace/api/runs'
import { client, query } from '../../query.ts'
import { quoteText } from '../../search-text.ts'

/** Most children that are listed and drawn on their parent's page. */
const SHOWN = 50

/** The runs that are nested in a run, the newest first. */
export function childrenQuery({ info }: Run) {
  return query(client.runs.search, {
    experiment_ids: [info.experiment_id],
    filter: `tags.\`mlflow.parentRunId\` = ${quoteText(info.run_id)}`,
    max_results: SHOWN,
  })
}
