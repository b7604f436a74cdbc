import { createHash } from 'node:crypto'
import { z } from 'zod'
import { AwsError, invalidRequest } from '../http/aws-error.ts'
import { metricDefinitionsOf } from '../runner/images/built-in-metrics.ts'
import { deleteResource } from '../state/resource-store.ts'
import { rungsOf } from '../tuning/early-stopping.ts'
import { parseParameterRanges } from '../tuning/parameter-space.ts'
import { gridSize } from '../tuning/suggest-parameters.ts'
import { sharedInput } from '../tuning-jobs/next-trial.ts'
import { listTrials, summaryOf } from '../tuning-jobs/trial-summaries.ts'
import {
  definitionsOf,
  findTuningJob,
  hyperbandOf,
  isTuningRunning,
  objectiveOf,
  TUNING_STATUSES,
  type TuningJobDocument,
  type TuningProgress,
  updateTuningJob,
} from '../tuning-jobs/tuning-job.ts'
import { inAwsWords } from './check-storage.ts'
import { checkTrainingJob } from './check-training-job.ts'
import { insertJob } from './insert-job.ts'
import { listOperation } from './list-operation.ts'
import { listTrialsOperation } from './list-trials.ts'
import { type OperationContext, operation } from './operation.ts'
import { ResourceName, resourceArn, seconds } from './resource-names.ts'
import { CreateTuningJobInput, type TrainingJobDefinition } from './tuning-job-input.ts'

const KIND = 'hyper-parameter-tuning-job'
const SEED_BYTES = 4
const ByName = z.object({ HyperParameterTuningJobName: ResourceName(32) })

export const tuningJobOperations = [
  operation({
    service: 'SageMaker',
    name: 'CreateHyperParameterTuningJob',
    input: CreateTuningJobInput,
    async run(context, input) {
      await checkTuningJob(context, input)
      return { HyperParameterTuningJobArn: createTuningJob(context, input) }
    },
  }),
  operation({
    service: 'SageMaker',
    name: 'DescribeHyperParameterTuningJob',
    input: ByName,
    run(context, { HyperParameterTuningJobName }) {
      return getTuningJob(context, HyperParameterTuningJobName).document
    },
  }),
  listOperation<TuningJobDocument>({
    name: 'ListHyperParameterTuningJobs',
    kind: KIND,
    statuses: TUNING_STATUSES,
    member: 'HyperParameterTuningJobSummaries',
    summaryOf: ({ document }) => ({
      HyperParameterTuningJobName: document.HyperParameterTuningJobName,
      HyperParameterTuningJobArn: document.HyperParameterTuningJobArn,
      HyperParameterTuningJobStatus: document.HyperParameterTuningJobStatus,
      Strategy: document.HyperParameterTuningJobConfig.Strategy,
      CreationTime: document.CreationTime,
      HyperParameterTuningEndTime: document.HyperParameterTuningEndTime,
      LastModifiedTime: document.LastModifiedTime,
      TrainingJobStatusCounters: document.TrainingJobStatusCounters,
      ObjectiveStatusCounters: document.ObjectiveStatusCounters,
      ResourceLimits: document.HyperParameterTuningJobConfig.ResourceLimits,
    }),
  }),
  operation({
    service: 'SageMaker',
    name: 'StopHyperParameterTuningJob',
    input: ByName,
    run(context, { HyperParameterTuningJobName }) {
      const job = getTuningJob(context, HyperParameterTuningJobName)
      if (!isTuningRunning(job)) {
        throw invalidRequest(
          `The request was rejected because the tuning job is in status ${job.document.HyperParameterTuningJobStatus}.`,
        )
      }
      updateTuningJob(context.state, HyperParameterTuningJobName, ({ document }) => {
        if (document.HyperParameterTuningJobStatus !== 'InProgress') return false
        document.HyperParameterTuningJobStatus = 'Stopping'
      })
      return undefined
    },
  }),
  operation({
    service: 'SageMaker',
    name: 'DeleteHyperParameterTuningJob',
    input: ByName,
    run(context, { HyperParameterTuningJobName }) {
      const job = getTuningJob(context, HyperParameterTuningJobName)
      if (isTuningRunning(job)) {
        throw new AwsError(
          'ResourceInUse',
          `The tuning job ${HyperParameterTuningJobName} is ${job.document.HyperParameterTuningJobStatus}: stop it, and delete it when it has ended.`,
        )
      }
      deleteResource(context.state, KIND, HyperParameterTuningJobName)
      return undefined
    },
  }),
  listTrialsOperation(({ state, ...context }, name) => {
    const tuning = getTuningJob({ state, ...context }, name)
    return listTrials(state, tuning).flatMap((trial) => summaryOf(tuning.document, trial) ?? [])
  }),
]

function getTuningJob({ state }: OperationContext, name: string) {
  const job = findTuningJob(state, name)
  if (job) return job
  throw new AwsError(
    'ResourceNotFound',
    `Amazon SageMaker can't find a tuning job with the name ${name}.`,
  )
}

function createTuningJob(
  context: OperationContext,
  { Tags = [], ...input }: CreateTuningJobInput,
): string {
  const name = input.HyperParameterTuningJobName
  const arn = resourceArn(context, KIND, name)
  const nowMs = Date.now()
  const now = seconds(nowMs)
  const told = (definition: TrainingJobDefinition): TrainingJobDefinition => ({
    ...definition,
    StaticHyperParameters: {
      ...definition.StaticHyperParameters,
      _tuning_objective_metric: objectiveOf(input, definition)?.MetricName ?? '',
    },
  })
  const document: TuningJobDocument = {
    ...input,
    ...(input.TrainingJobDefinition
      ? { TrainingJobDefinition: told(input.TrainingJobDefinition) }
      : {}),
    ...(input.TrainingJobDefinitions
      ? { TrainingJobDefinitions: input.TrainingJobDefinitions.map(told) }
      : {}),
    HyperParameterTuningJobArn: arn,
    HyperParameterTuningJobStatus: 'InProgress',
    CreationTime: now,
    LastModifiedTime: now,
    TrainingJobStatusCounters: {
      Completed: 0,
      InProgress: 0,
      RetryableError: 0,
      NonRetryableError: 0,
      Stopped: 0,
    },
    ObjectiveStatusCounters: { Succeeded: 0, Pending: 0, Failed: 0 },
  }
  const hash = createHash('sha256').update(`${arn} ${nowMs}`).digest()
  const progress: TuningProgress = {
    trials: [],
    seed: input.HyperParameterTuningJobConfig.RandomSeed ?? hash.readUIntBE(0, SEED_BYTES),
    isExhausted: false,
    linked: [],
  }
  insertJob(context, {
    kind: KIND,
    name,
    arn,
    createdMs: nowMs,
    document,
    progress,
    tags: Tags,
    places: 0,
    uniqueNames: 'Hyperparameter tuning job names must be',
    article: 'a tuning job',
  })
  return arn
}

/** Refuses a tuning job whose training jobs could not be made, before it is one. */
async function checkTuningJob(
  context: OperationContext,
  input: CreateTuningJobInput,
): Promise<void> {
  const { HyperParameterTuningJobConfig: config, WarmStartConfig, Autotune } = input
  if (
    (input.TrainingJobDefinition === undefined) ===
    (input.TrainingJobDefinitions === undefined)
  ) {
    throw invalidRequest(
      'A tuning job takes either a TrainingJobDefinition or a list of TrainingJobDefinitions.',
    )
  }
  if (Autotune) throw invalidRequest('Autotune is not served by this control plane.')
  const { MaxNumberOfTrainingJobs, MaxRuntimeInSeconds } = config.ResourceLimits
  const isUnbounded = MaxNumberOfTrainingJobs === undefined && MaxRuntimeInSeconds === undefined
  if (isUnbounded && config.Strategy !== 'Grid' && !config.TuningJobCompletionCriteria) {
    throw invalidRequest('ResourceLimits needs MaxNumberOfTrainingJobs or MaxRuntimeInSeconds.')
  }
  if (config.Strategy === 'Grid' && WarmStartConfig) {
    throw invalidRequest('A tuning job with the strategy Grid cannot be warm started.')
  }
  for (const parent of WarmStartConfig?.ParentHyperParameterTuningJobs ?? []) {
    const known = getTuningJob(context, parent.HyperParameterTuningJobName)
    if (isTuningRunning(known)) {
      throw invalidRequest(
        `The parent tuning job ${known.name} is ${known.document.HyperParameterTuningJobStatus}: wait until it has ended.`,
      )
    }
  }
  checkNames(input)
  checkStrategy(config)
  for (const definition of definitionsOf(input)) {
    await inAwsWords(() => checkDefinition(input, definition))
    await checkTrainingJob(context, sharedInput(definition))
  }
}

function checkNames({ TrainingJobDefinitions = [] }: CreateTuningJobInput): void {
  const names = TrainingJobDefinitions.map(({ DefinitionName }) => DefinitionName)
  if (names.length > 1 && names.includes(undefined)) {
    throw invalidRequest('Each of several TrainingJobDefinitions needs a DefinitionName.')
  }
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw invalidRequest(`The DefinitionName '${twice}' occurs twice.`)
}

function checkStrategy({
  Strategy,
  StrategyConfig,
  TrainingJobEarlyStoppingType,
}: CreateTuningJobInput['HyperParameterTuningJobConfig']): void {
  if (Strategy === 'Hyperband' && TrainingJobEarlyStoppingType === 'Auto') {
    throw invalidRequest(
      'Hyperband stops training jobs itself: TrainingJobEarlyStoppingType has to be Off.',
    )
  }
  if (Strategy !== 'Hyperband' && StrategyConfig?.HyperbandStrategyConfig) {
    throw invalidRequest(
      `A HyperbandStrategyConfig is for the strategy Hyperband, not for ${Strategy}.`,
    )
  }
}

function checkDefinition(input: CreateTuningJobInput, definition: TrainingJobDefinition): void {
  const { Strategy, ParameterRanges } = input.HyperParameterTuningJobConfig
  const objective = objectiveOf(input, definition)
  if (!objective) {
    throw invalidRequest('A tuning job needs an objective (HyperParameterTuningJobObjective).')
  }
  const metrics = metricDefinitionsOf(definition)
  if (!metrics.some(({ Name }) => Name === objective.MetricName)) {
    throw invalidRequest(
      `The objective metric '${objective.MetricName}' is not among the MetricDefinitions, which are: ` +
        `${metrics.map(({ Name }) => Name).join(', ') || 'none'}.`,
    )
  }
  const ranges = definition.HyperParameterRanges ?? ParameterRanges ?? {}
  if ((ranges.AutoParameters ?? []).length > 0) {
    throw invalidRequest('AutoParameters are not served by this control plane: give ranges.')
  }
  const space = parseParameterRanges(ranges)
  if (space.length === 0) throw invalidRequest('A tuning job needs at least one parameter range.')
  if (Strategy === 'Grid') gridSize(space)
  const twice = space.find(({ name }) => name in (definition.StaticHyperParameters ?? {}))
  if (twice) {
    throw invalidRequest(`The hyperparameter '${twice.name}' is both static and tuned.`)
  }
  if (Strategy !== 'Hyperband') return
  const resources = hyperbandOf(input, definition)
  if (!(resources.maxResource > 0)) {
    throw invalidRequest(
      'Hyperband needs a MaxResource in the HyperbandStrategyConfig, or a static hyperparameter ' +
        'that says it: epochs, numepochs, n-epochs, n_epochs or num_epochs.',
    )
  }
  rungsOf(resources)
}
