import { z } from 'zod'
import type { Known } from './known-members.ts'
import { ResourceName, Tags, VpcConfig } from './resource-names.ts'
import { StringMap, VARIABLE } from './string-map.ts'
import { CreateTrainingJobInput, ResourceConfig, StoppingCondition } from './training-job-input.ts'

const NumericRange = z.object({
  Name: z.string().max(256),
  MinValue: z.string().max(256),
  MaxValue: z.string().max(256),
  ScalingType: z.enum(['Auto', 'Linear', 'Logarithmic', 'ReverseLogarithmic']).optional(),
})

export const ParameterRanges = z.looseObject({
  IntegerParameterRanges: z.array(NumericRange).max(30).optional(),
  ContinuousParameterRanges: z.array(NumericRange).max(30).optional(),
  CategoricalParameterRanges: z
    .array(
      z.object({ Name: z.string().max(256), Values: z.array(z.string().max(256)).min(1).max(30) }),
    )
    .max(30)
    .optional(),
  AutoParameters: z
    .array(z.looseObject({ Name: z.string() }))
    .max(100)
    .optional(),
})

export const Objective = z.object({
  Type: z.enum(['Maximize', 'Minimize']),
  MetricName: z.string().min(1).max(255),
})
export type Objective = z.infer<typeof Objective>

const { shape } = CreateTrainingJobInput

/** One of the training jobs that a tuning job makes, as far as they are alike. */
export const TrainingJobDefinition = z.looseObject({
  DefinitionName: ResourceName(64).optional(),
  TuningObjective: Objective.optional(),
  HyperParameterRanges: ParameterRanges.optional(),
  StaticHyperParameters: StringMap(256, 2500).optional(),
  AlgorithmSpecification: shape.AlgorithmSpecification,
  RoleArn: shape.RoleArn,
  InputDataConfig: shape.InputDataConfig,
  OutputDataConfig: shape.OutputDataConfig,
  ResourceConfig: ResourceConfig.optional(),
  HyperParameterTuningResourceConfig: z
    .looseObject({
      InstanceType: z.string().optional(),
      InstanceCount: z.int32().min(1).optional(),
      VolumeSizeInGB: z.int32().min(0).optional(),
      InstanceConfigs: z
        .array(
          z.looseObject({
            InstanceType: z.string(),
            InstanceCount: z.int32().min(1),
            VolumeSizeInGB: z.int32().min(0),
          }),
        )
        .max(6)
        .optional(),
    })
    .optional(),
  StoppingCondition,
  EnableNetworkIsolation: z.boolean().optional(),
  EnableManagedSpotTraining: z.boolean().optional(),
  EnableInterContainerTrafficEncryption: z.boolean().optional(),
  CheckpointConfig: shape.CheckpointConfig,
  VpcConfig: VpcConfig.optional(),
  RetryStrategy: shape.RetryStrategy,
  Environment: StringMap(512, 512, { pattern: VARIABLE, sizeMax: 48 }).optional(),
})
export type TrainingJobDefinition = Known<z.infer<typeof TrainingJobDefinition>>

const TuningJobConfig = z.looseObject({
  Strategy: z.enum(['Bayesian', 'Random', 'Hyperband', 'Grid']),
  StrategyConfig: z
    .looseObject({
      HyperbandStrategyConfig: z
        .object({
          MinResource: z.int32().min(1).optional(),
          MaxResource: z.int32().min(1).optional(),
        })
        .optional(),
    })
    .optional(),
  HyperParameterTuningJobObjective: Objective.optional(),
  ResourceLimits: z.looseObject({
    MaxNumberOfTrainingJobs: z.int32().min(1).optional(),
    MaxParallelTrainingJobs: z.int32().min(1),
    MaxRuntimeInSeconds: z.int32().min(120).max(15_768_000).optional(),
  }),
  ParameterRanges: ParameterRanges.optional(),
  TrainingJobEarlyStoppingType: z.enum(['Off', 'Auto']).optional(),
  TuningJobCompletionCriteria: z
    .looseObject({
      TargetObjectiveMetricValue: z.number().optional(),
      BestObjectiveNotImproving: z
        .looseObject({ MaxNumberOfTrainingJobsNotImproving: z.int32().min(3).optional() })
        .optional(),
      ConvergenceDetected: z
        .looseObject({ CompleteOnConvergence: z.enum(['Disabled', 'Enabled']).optional() })
        .optional(),
    })
    .optional(),
  RandomSeed: z.int32().min(0).optional(),
})

/** What CreateHyperParameterTuningJob takes. */
export const CreateTuningJobInput = z.looseObject({
  HyperParameterTuningJobName: ResourceName(32),
  HyperParameterTuningJobConfig: TuningJobConfig,
  TrainingJobDefinition: TrainingJobDefinition.optional(),
  TrainingJobDefinitions: z.array(TrainingJobDefinition).min(1).max(10).optional(),
  WarmStartConfig: z
    .object({
      ParentHyperParameterTuningJobs: z
        .array(z.looseObject({ HyperParameterTuningJobName: ResourceName(32) }))
        .min(1)
        .max(5),
      WarmStartType: z.enum(['IdenticalDataAndAlgorithm', 'TransferLearning']),
    })
    .optional(),
  Autotune: z.looseObject({ Mode: z.string() }).optional(),
  Tags: Tags.optional(),
})
export type CreateTuningJobInput = Known<z.infer<typeof CreateTuningJobInput>>
