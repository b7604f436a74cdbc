import { z } from 'zod'
import type { Known } from './known-members.ts'
import { ResourceName, RoleArn, S3Uri, Tags } from './resource-names.ts'

const TimeoutSeconds = z.int32().min(60).max(3600)

export const ProductionVariant = z.looseObject({
  VariantName: ResourceName(),
  ModelName: ResourceName().optional(),
  InitialInstanceCount: z.int32().min(1).optional(),
  InstanceType: z.string().optional(),
  InitialVariantWeight: z.number().min(0).optional(),
  ModelDataDownloadTimeoutInSeconds: TimeoutSeconds.optional(),
  ContainerStartupHealthCheckTimeoutInSeconds: TimeoutSeconds.optional(),
  ServerlessConfig: z
    .looseObject({
      MemorySizeInMB: z.int32().min(1024).max(6144),
      MaxConcurrency: z.int32().min(1).max(200),
      ProvisionedConcurrency: z.int32().min(1).max(200).optional(),
    })
    .optional(),
})
export type ProductionVariant = Known<z.infer<typeof ProductionVariant>>

const ContentTypes = z
  .array(
    z
      .string()
      .min(1)
      .max(256)
      .regex(/^[a-zA-Z0-9](-*[a-zA-Z0-9])*\/[a-zA-Z0-9](-*[a-zA-Z0-9.])*$/),
  )
  .min(1)
  .max(10)

export const DataCaptureConfig = z.looseObject({
  EnableCapture: z.boolean().optional(),
  InitialSamplingPercentage: z.int32().min(0).max(100),
  DestinationS3Uri: S3Uri,
  KmsKeyId: z.string().max(2048).optional(),
  CaptureOptions: z
    .array(z.object({ CaptureMode: z.enum(['Input', 'Output', 'InputAndOutput']) }))
    .min(1)
    .max(32),
  CaptureContentTypeHeader: z
    .looseObject({
      CsvContentTypes: ContentTypes.optional(),
      JsonContentTypes: ContentTypes.optional(),
    })
    .optional(),
})
export type DataCaptureConfig = Known<z.infer<typeof DataCaptureConfig>>

/** What CreateEndpointConfig takes. */
export const CreateEndpointConfigInput = z.looseObject({
  EndpointConfigName: ResourceName(),
  ProductionVariants: z.array(ProductionVariant).min(1).max(10),
  ShadowProductionVariants: z.array(ProductionVariant).max(10).optional(),
  DataCaptureConfig: DataCaptureConfig.optional(),
  AsyncInferenceConfig: z.looseObject({}).optional(),
  ExplainerConfig: z.looseObject({}).optional(),
  Tags: Tags.optional(),
  KmsKeyId: z.string().max(2048).optional(),
  ExecutionRoleArn: RoleArn.optional(),
  EnableNetworkIsolation: z.boolean().optional(),
})
export type CreateEndpointConfigInput = Known<z.infer<typeof CreateEndpointConfigInput>>

/** What DescribeEndpointConfig answers. */
export interface EndpointConfigDocument extends Omit<CreateEndpointConfigInput, 'Tags'> {
  EndpointConfigArn: string
  CreationTime: number
}
