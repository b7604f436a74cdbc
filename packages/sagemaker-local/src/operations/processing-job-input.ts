import { z } from 'zod'
import type { Known } from './known-members.ts'
import {
  ExperimentConfig,
  ResourceName,
  RoleArn,
  S3Uri,
  Tags,
  VpcConfig,
} from './resource-names.ts'
import { StringMap, VARIABLE } from './string-map.ts'

const Command = (itemsMax: number) => z.array(z.string().max(256)).min(1).max(itemsMax)
/** Below what the platform gives to the job, and not out of it again. */
const LocalPath = z
  .string()
  .max(256)
  .refine(
    (path) => /^\/opt\/ml\/processing(\/|$)/.test(path) && !path.split('/').includes('..'),
    'A LocalPath has to lie below /opt/ml/processing.',
  )

export const ProcessingInput = z.looseObject({
  InputName: z.string().min(1).max(255),
  AppManaged: z.boolean().optional(),
  S3Input: z
    .looseObject({
      S3Uri,
      LocalPath: LocalPath.optional(),
      S3DataType: z.enum(['ManifestFile', 'S3Prefix']),
      S3InputMode: z.enum(['Pipe', 'File']).optional(),
      S3DataDistributionType: z.enum(['FullyReplicated', 'ShardedByS3Key']).optional(),
      S3CompressionType: z.enum(['None', 'Gzip']).optional(),
    })
    .optional(),
})
export type ProcessingInput = z.infer<typeof ProcessingInput>

/** What CreateProcessingJob takes. */
export const CreateProcessingJobInput = z.looseObject({
  ProcessingJobName: ResourceName(),
  ProcessingInputs: z.array(ProcessingInput).max(10).optional(),
  ProcessingOutputConfig: z
    .looseObject({
      Outputs: z
        .array(
          z.looseObject({
            OutputName: z.string().min(1).max(255),
            S3Output: z
              .looseObject({
                S3Uri,
                LocalPath: LocalPath.optional(),
                S3UploadMode: z.enum(['Continuous', 'EndOfJob']),
              })
              .optional(),
          }),
        )
        .max(10),
    })
    .optional(),
  ProcessingResources: z.looseObject({
    ClusterConfig: z.looseObject({
      InstanceCount: z.int32().min(1).max(100).optional(),
      InstanceType: z.string().optional(),
      VolumeSizeInGB: z.int32().min(1).max(16_384),
    }),
  }),
  StoppingCondition: z
    .looseObject({ MaxRuntimeInSeconds: z.int32().min(1).max(777_600) })
    .optional(),
  AppSpecification: z.looseObject({
    ImageUri: z.string().min(1).max(255),
    ContainerEntrypoint: Command(100).optional(),
    ContainerArguments: Command(100).optional(),
  }),
  Environment: StringMap(256, 256, { pattern: VARIABLE }).optional(),
  NetworkConfig: z
    .looseObject({
      EnableNetworkIsolation: z.boolean().optional(),
      VpcConfig: VpcConfig.optional(),
    })
    .optional(),
  ExperimentConfig: ExperimentConfig.optional(),
  RoleArn,
  Tags: Tags.optional(),
})
export type CreateProcessingJobInput = Known<z.infer<typeof CreateProcessingJobInput>>
