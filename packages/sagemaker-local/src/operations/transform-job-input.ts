import { z } from 'zod'
import type { Known } from './known-members.ts'
import { ExperimentConfig, ResourceName, S3Uri, Tags } from './resource-names.ts'
import { StringMap, VARIABLE } from './string-map.ts'

/** What CreateTransformJob takes. */
export const CreateTransformJobInput = z.looseObject({
  TransformJobName: ResourceName(),
  ModelName: ResourceName(),
  MaxConcurrentTransforms: z.int32().min(0).optional(),
  ModelClientConfig: z
    .looseObject({
      InvocationsTimeoutInSeconds: z.int32().min(1).max(3600).optional(),
      InvocationsMaxRetries: z.int32().min(0).max(3).optional(),
    })
    .optional(),
  MaxPayloadInMB: z.int32().min(0).optional(),
  BatchStrategy: z.enum(['MultiRecord', 'SingleRecord']).optional(),
  Environment: StringMap(1024, 10_240, { pattern: VARIABLE, sizeMax: 16 }).optional(),
  TransformInput: z.looseObject({
    DataSource: z.looseObject({
      S3DataSource: z.looseObject({
        S3DataType: z.enum(['ManifestFile', 'S3Prefix', 'AugmentedManifestFile']),
        S3Uri,
      }),
    }),
    ContentType: z.string().max(256).optional(),
    CompressionType: z.enum(['None', 'Gzip']).optional(),
    SplitType: z.enum(['None', 'Line', 'RecordIO', 'TFRecord']).optional(),
  }),
  TransformOutput: z.looseObject({
    S3OutputPath: S3Uri,
    Accept: z.string().max(256).optional(),
    AssembleWith: z.enum(['None', 'Line']).optional(),
    KmsKeyId: z.string().max(2048).optional(),
  }),
  TransformResources: z.looseObject({
    InstanceType: z.string(),
    InstanceCount: z.int32().min(1).max(100),
  }),
  DataProcessing: z
    .looseObject({
      InputFilter: z.string().max(63).optional(),
      OutputFilter: z.string().max(63).optional(),
      JoinSource: z.enum(['Input', 'None']).optional(),
    })
    .optional(),
  Tags: Tags.optional(),
  ExperimentConfig: ExperimentConfig.optional(),
})
export type CreateTransformJobInput = Known<z.infer<typeof CreateTransformJobInput>>
