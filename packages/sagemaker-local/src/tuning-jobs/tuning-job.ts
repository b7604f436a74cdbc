import { seconds } from '../operations/resource-names.ts'
import type {
  CreateTuningJobInput,
  Objective,
  TrainingJobDefinition,
} from '../operations/tuning-job-input.ts'
import type { State } from '../state/open-state.ts'
import { findResource, type Resource, updateResource } from '../state/resource-store.ts'
import type { Parameters } from '../tuning/parameter-space.ts'

export const TUNING_STATUSES = [
  'Completed',
  'InProgress',
  'Failed',
  'Stopped',
  'Stopping',
  'Deleting',
  'DeleteFailed',
] as const
export type TuningJobStatus = (typeof TUNING_STATUSES)[number]

/** A trial as the operations of tuning jobs tell it. */
export interface TrialSummary {
  TrainingJobDefinitionName?: string
  TrainingJobName: string
  TrainingJobArn: string
  CreationTime: number
  TrainingStartTime?: number
  TrainingEndTime?: number
  TrainingJobStatus: string
  TunedHyperParameters: Parameters
  FailureReason?: string
  FinalHyperParameterTuningJobObjectiveMetric?: {
    Type: Objective['Type']
    MetricName: string
    Value: number
  }
  ObjectiveStatus: 'Succeeded' | 'Pending' | 'Failed'
}

/** What DescribeHyperParameterTuningJob answers. Times in seconds. */
export interface TuningJobDocument extends Omit<CreateTuningJobInput, 'Tags'> {
  HyperParameterTuningJobArn: string
  HyperParameterTuningJobStatus: TuningJobStatus
  CreationTime: number
  HyperParameterTuningEndTime?: number
  LastModifiedTime: number
  TrainingJobStatusCounters: {
    Completed: number
    InProgress: number
    RetryableError: number
    NonRetryableError: number
    Stopped: number
  }
  ObjectiveStatusCounters: { Succeeded: number; Pending: number; Failed: number }
  BestTrainingJob?: TrialSummary
  OverallBestTrainingJob?: TrialSummary
  FailureReason?: string
  ConsumedResources?: { RuntimeInSeconds: number }
}

/** A training job of a tuning job; recorded before it is made. */
export interface TrialRecord {
  name: string
  /** Which of the definitions it is of. */
  definition: number
  parameters: Parameters
}

/** What the runner needs to carry a tuning job on. */
export interface TuningProgress {
  trials: TrialRecord[]
  seed: number
  /** A finite space has nothing more to try. */
  isExhausted: boolean
  /** How the job ends when its last training job has ended. */
  ending?: { status: 'Completed' | 'Failed' | 'Stopped'; reason?: string }
  /** The MLflow run whose children the trials' runs are. */
  parentRun?: { runId: string; experimentId: string }
  /** Trials whose runs are known as its children. */
  linked: string[]
}

export type TuningJob = Resource<TuningJobDocument, TuningProgress>

export function findTuningJob(state: State, name: string): TuningJob | undefined {
  return findResource<TuningJobDocument, TuningProgress>(state, 'hyper-parameter-tuning-job', name)
}

/** Changes a tuning job when there is something to change; `change` returns false to leave it. */
export function updateTuningJob(
  state: State,
  name: string,
  change: (job: TuningJob) => false | void,
): void {
  updateResource<TuningJobDocument, TuningProgress>(
    state,
    'hyper-parameter-tuning-job',
    name,
    (job) => {
      const before = JSON.stringify([job.document, job.progress])
      if (change(job) === false) return false
      if (JSON.stringify([job.document, job.progress]) === before) return false
      job.status = job.document.HyperParameterTuningJobStatus
      job.document.LastModifiedTime = seconds(Date.now())
    },
  )
}

/** The kinds of training jobs of a tuning job; one unless it has a list of them. */
export function definitionsOf(
  document: Pick<CreateTuningJobInput, 'TrainingJobDefinition' | 'TrainingJobDefinitions'>,
): TrainingJobDefinition[] {
  return (
    document.TrainingJobDefinitions ??
    (document.TrainingJobDefinition ? [document.TrainingJobDefinition] : [])
  )
}

/** What a definition is tuned for: its own objective, else that of the whole job. */
export function objectiveOf(
  {
    HyperParameterTuningJobConfig: config,
  }: Pick<CreateTuningJobInput, 'HyperParameterTuningJobConfig'>,
  definition: TrainingJobDefinition | undefined,
): Objective | undefined {
  return definition?.TuningObjective ?? config.HyperParameterTuningJobObjective
}

/** Static hyperparameters that say how far training goes, where MaxResource does not. */
const EPOCHS = ['epochs', 'numepochs', 'n-epochs', 'n_epochs', 'num_epochs']

/** Between which epochs Hyperband decides about the training jobs of a definition. */
export function hyperbandOf(
  {
    HyperParameterTuningJobConfig: { StrategyConfig },
  }: Pick<CreateTuningJobInput, 'HyperParameterTuningJobConfig'>,
  { StaticHyperParameters = {} }: TrainingJobDefinition,
): { minResource: number; maxResource: number } {
  const { MinResource = 1, MaxResource } = StrategyConfig?.HyperbandStrategyConfig ?? {}
  const told = EPOCHS.map((name) => StaticHyperParameters[name]).find((text) => text !== undefined)
  // The SDK writes numbers as JSON of text.
  const inferred = Number(told?.replaceAll('"', '') ?? 0)
  return { minResource: MinResource, maxResource: MaxResource ?? inferred }
}

export function isTuningRunning({ document }: TuningJob): boolean {
  return ['InProgress', 'Stopping'].includes(document.HyperParameterTuningJobStatus)
}
