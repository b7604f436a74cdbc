import { z } from 'zod'
import { invalidRequest } from '../http/aws-error.ts'
import type { TrialSummary } from '../tuning-jobs/tuning-job.ts'
import { type OperationContext, operation } from './operation.ts'
import { ResourceName } from './resource-names.ts'

const PAGE_SIZE = 10

/** `ListTrainingJobsForHyperParameterTuningJob` over all trials of a tuning job. */
export function listTrialsOperation(
  listAll: (context: OperationContext, name: string) => TrialSummary[],
) {
  return operation({
    service: 'SageMaker',
    name: 'ListTrainingJobsForHyperParameterTuningJob',
    input: z.object({
      HyperParameterTuningJobName: ResourceName(32),
      NextToken: z.string().max(8192).nullish(),
      MaxResults: z.int32().min(1).max(100).nullish(),
      StatusEquals: z.enum(['InProgress', 'Completed', 'Failed', 'Stopping', 'Stopped']).nullish(),
      SortBy: z.enum(['Name', 'CreationTime', 'Status', 'FinalObjectiveMetricValue']).nullish(),
      SortOrder: z.enum(['Ascending', 'Descending']).nullish(),
    }),
    run(context, input) {
      const sign = (input.SortOrder ?? 'Descending') === 'Ascending' ? 1 : -1
      const found = listAll(context, input.HyperParameterTuningJobName)
        .filter(
          ({ TrainingJobStatus }) =>
            input.StatusEquals == null || TrainingJobStatus === input.StatusEquals,
        )
        .filter(
          (trial) => input.SortBy !== 'FinalObjectiveMetricValue' || valueOf(trial) !== undefined,
        )
        .sort((one, other) => sign * compare(one, other, input.SortBy ?? 'Name'))
      const start = startOf(input.NextToken)
      const end = start + (input.MaxResults ?? PAGE_SIZE)
      return {
        TrainingJobSummaries: found.slice(start, end),
        NextToken: end < found.length ? `from/${end}` : undefined,
      }
    },
  })
}

type SortBy = 'Name' | 'CreationTime' | 'Status' | 'FinalObjectiveMetricValue'

function compare(one: TrialSummary, other: TrialSummary, by: SortBy): number {
  const byName = one.TrainingJobName < other.TrainingJobName ? -1 : 1
  switch (by) {
    case 'Name':
      return byName
    case 'CreationTime':
      return one.CreationTime - other.CreationTime || byName
    case 'Status':
      return one.TrainingJobStatus.localeCompare(other.TrainingJobStatus) || byName
    case 'FinalObjectiveMetricValue':
      return (valueOf(one) ?? 0) - (valueOf(other) ?? 0) || byName
  }
}

function valueOf(trial: TrialSummary): number | undefined {
  return trial.FinalHyperParameterTuningJobObjectiveMetric?.Value
}

function startOf(token: string | null | undefined): number {
  if (token == null) return 0
  const start = /^from\/(\d{1,6})$/.exec(token)?.[1]
  if (start !== undefined) return Number(start)
  throw invalidRequest('The NextToken is not one that this list has answered with.')
}
