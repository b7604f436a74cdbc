import { z } from 'zod'
import { MetricDefinition } from '../runner/instance/instance-spec.ts'
import {
  ExperimentConfig,
  ResourceName,
  RoleArn,
  S3Uri,
  Tags,
  VpcConfig,
} from './resource-names.ts'
import { StringMap, VARIABLE } from './string-map.ts'

const InputMode = z.enum(['Pipe', 'File', 'FastFile'])
const Command = z.array(z.string().max(256)).min(1).max(100)

export const Channel = z.object({
  ChannelName: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[A-Za-z0-9.\-_]+$/),
  DataSource: z.looseObject({
    S3DataSource: z
      .looseObject({
        S3DataType: z.enum(['ManifestFile', 'S3Prefix', 'AugmentedManifestFile', 'Converse']),
        S3Uri,
        S3DataDistributionType: z.enum(['FullyReplicated', 'ShardedByS3Key']).optional(),
        AttributeNames: z.array(z.string()).max(16).optional(),
      })
      .optional(),
    FileSystemDataSource: z.looseObject({ DirectoryPath: z.string() }).optional(),
  }),
  ContentType: z.string().max(256).optional(),
  CompressionType: z.enum(['None', 'Gzip']).optional(),
  RecordWrapperType: z.enum(['None', 'RecordIO']).optional(),
  InputMode: InputMode.optional(),
  ShuffleConfig: z.object({ Seed: z.int() }).optional(),
})
export type Channel = z.infer<typeof Channel>

export const AlgorithmSpecification = z.looseObject({
  TrainingImage: z.string().max(255).optional(),
  AlgorithmName: z.string().min(1).max(170).optional(),
  TrainingInputMode: InputMode,
  MetricDefinitions: z.array(MetricDefinition).max(40).optional(),
  ContainerEntrypoint: Command.optional(),
  ContainerArguments: Command.optional(),
})

export const ResourceConfig = z.looseObject({
  InstanceType: z.string().optional(),
  InstanceCount: z.int32().min(1).max(100).optional(),
  VolumeSizeInGB: z.int32().min(0).optional(),
  InstanceGroups: z
    .array(
      z.object({
        InstanceType: z.string(),
        InstanceCount: z.int32().min(1),
        InstanceGroupName: z.string().min(1).max(64),
      }),
    )
    .max(5)
    .optional(),
})

export const StoppingCondition = z.looseObject({
  MaxRuntimeInSeconds: z.int32().min(1).optional(),
  MaxWaitTimeInSeconds: z.int32().min(1).optional(),
  MaxPendingTimeInSeconds: z.int32().min(1800).max(2_419_200).optional(),
})

/**
 * What CreateTrainingJob takes. What only AWS can do something with (a profiler, a debugger, a VPC)
 * is kept and described, and has no effect here.
 */
export const CreateTrainingJobInput = z.looseObject({
  TrainingJobName: ResourceName(),
  HyperParameters: StringMap(256, 2500).optional(),
  AlgorithmSpecification,
  RoleArn,
  InputDataConfig: z.array(Channel).min(1).max(20).optional(),
  OutputDataConfig: z.looseObject({
    S3OutputPath: S3Uri,
    CompressionType: z.enum(['GZIP', 'NONE']).optional(),
  }),
  ResourceConfig,
  StoppingCondition: StoppingCondition.optional(),
  Tags: Tags.optional(),
  EnableNetworkIsolation: z.boolean().optional(),
  EnableManagedSpotTraining: z.boolean().optional(),
  EnableInterContainerTrafficEncryption: z.boolean().optional(),
  CheckpointConfig: z.looseObject({ S3Uri, LocalPath: z.string().max(4096).optional() }).optional(),
  ExperimentConfig: ExperimentConfig.optional(),
  VpcConfig: VpcConfig.optional(),
  DebugHookConfig: z.looseObject({ S3OutputPath: S3Uri }).optional(),
  Environment: StringMap(512, 512, { pattern: VARIABLE }).optional(),
  RetryStrategy: z.object({ MaximumRetryAttempts: z.int32().min(1).max(30) }).optional(),
  MlflowConfig: z
    .looseObject({
      MlflowExperimentName: z.string().min(1).max(256).optional(),
      MlflowRunName: z.string().min(1).max(256).optional(),
    })
    .optional(),
})
export type CreateTrainingJobInput = Known<z.infer<typeof CreateTrainingJobInput>>

/**
 * What UpdateTrainingJob takes: settings of AWS's profiler and debugger, which are described and have no
 * effect here.
 */
export const UpdateTrainingJobInput = z.object({
  TrainingJobName: ResourceName(),
  ProfilerConfig: z
    .looseObject({
      S3OutputPath: S3Uri.optional(),
      ProfilingIntervalInMilliseconds: z.int().optional(),
      DisableProfiler: z.boolean().optional(),
    })
    .optional(),
  ProfilerRuleConfigurations: z
    .array(z.looseObject({ RuleConfigurationName: z.string().min(1).max(256) }))
    .max(20)
    .optional(),
  ResourceConfig: z.object({ KeepAlivePeriodInSeconds: z.int32().min(0).max(3600) }).optional(),
  RemoteDebugConfig: z.object({ EnableRemoteDebug: z.boolean().optional() }).optional(),
})

/** The members that a schema names, without those that it lets through. */
type Known<Input> = {
  [Name in keyof Input as string extends Name ? never : Name]: Input[Name]
}
