import { randomBytes } from 'node:crypto'
import type { CreateTrainingJobInput } from '../operations/training-job-input.ts'
import type { TrainingJobDefinition } from '../operations/tuning-job-input.ts'
import type { State } from '../state/open-state.ts'
import { parseParameterRanges } from '../tuning/parameter-space.ts'
import { suggestParameters } from '../tuning/suggest-parameters.ts'
import type { WarmStart } from '../tuning/trials.ts'
import { type KnownTrial, listTrials, strategyTrial } from './trial-summaries.ts'
import {
  definitionsOf,
  findTuningJob,
  objectiveOf,
  type TrialRecord,
  type TuningJob,
} from './tuning-job.ts'

const NUMBER_DIGITS = 3
const NAME_BYTES = 4

/** The next trial that a tuning job's strategy wants; undefined when there is nothing more to try. */
export function nextTrial(
  state: State,
  tuning: TuningJob,
  trials: KnownTrial[],
): TrialRecord | undefined {
  const { document, progress } = tuning
  const { Strategy, ParameterRanges } = document.HyperParameterTuningJobConfig
  const definitions = definitionsOf(document)
  // In their turn; of those that have something left.
  for (let offset = 0; offset < definitions.length; offset += 1) {
    const index = (progress.trials.length + offset) % definitions.length
    const definition = definitions[index]
    const ranges = definition?.HyperParameterRanges ?? ParameterRanges ?? {}
    const warmStart = warmStartOf(state, tuning, index)
    const parameters = suggestParameters({
      strategy: Strategy,
      space: parseParameterRanges(ranges),
      goal: objectiveOf(document, definition)?.Type ?? 'Maximize',
      trials: trials.filter(({ record }) => record.definition === index).map(strategyTrial),
      seed: progress.seed + index,
      ...(warmStart ? { warmStart } : {}),
    })
    if (!parameters) continue
    const number = String(progress.trials.length + 1).padStart(NUMBER_DIGITS, '0')
    const name = `${tuning.name}-${number}-${randomBytes(NAME_BYTES).toString('hex')}`
    return { name, definition: index, parameters }
  }
  return undefined
}

function warmStartOf(state: State, { document }: TuningJob, index: number): WarmStart | undefined {
  const config = document.WarmStartConfig
  if (!config) return undefined
  const parents = config.ParentHyperParameterTuningJobs.flatMap(
    ({ HyperParameterTuningJobName }) => {
      const parent = findTuningJob(state, HyperParameterTuningJobName)
      if (!parent) return []
      const trials = listTrials(state, parent).filter(({ record }) => record.definition === index)
      return [trials.map(strategyTrial)]
    },
  )
  return { type: config.WarmStartType, parents }
}

/** The training job of a trial, as CreateTrainingJob takes it. */
export function trainingJobOf(
  tuning: Pick<TuningJob, 'document'>,
  { name, definition: index, parameters }: TrialRecord,
): CreateTrainingJobInput {
  const definition = definitionsOf(tuning.document)[index]
  if (!definition) throw new Error(`The tuning job has no definition ${index}.`)
  const objective = objectiveOf(tuning.document, definition)
  return {
    ...sharedInput(definition),
    TrainingJobName: name,
    HyperParameters: {
      ...definition.StaticHyperParameters,
      ...parameters,
      ...(objective ? { _tuning_objective_metric: objective.MetricName } : {}),
    },
  }
}

/** What all training jobs of a definition have in common. */
export function sharedInput(
  definition: TrainingJobDefinition,
): Omit<CreateTrainingJobInput, 'TrainingJobName'> {
  const {
    DefinitionName: _name,
    TuningObjective: _objective,
    HyperParameterRanges: _ranges,
    StaticHyperParameters,
    ResourceConfig,
    HyperParameterTuningResourceConfig: resources,
    ...alike
  } = definition
  const [config] = resources?.InstanceConfigs ?? []
  return {
    ...alike,
    HyperParameters: StaticHyperParameters ?? {},
    ResourceConfig: ResourceConfig ?? {
      InstanceType: config?.InstanceType ?? resources?.InstanceType,
      InstanceCount: config?.InstanceCount ?? resources?.InstanceCount ?? 1,
      VolumeSizeInGB: config?.VolumeSizeInGB ?? resources?.VolumeSizeInGB,
    },
  }
}
