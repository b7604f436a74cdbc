import { z } from 'zod'
import type { Known } from './known-members.ts'
import { ResourceName, RoleArn, S3Uri, Tags, VpcConfig } from './resource-names.ts'
import { StringMap, VARIABLE } from './string-map.ts'

/** Variables of a container, as CreateModel limits them. */
const ContainerEnvironment = StringMap(1024, 1024, { pattern: VARIABLE })

/** What a container is made of: an image, a model and variables. */
export const Container = z.looseObject({
  ContainerHostname: ResourceName().optional(),
  Image: z.string().max(255).optional(),
  Mode: z.enum(['SingleModel', 'MultiModel']).optional(),
  ImageConfig: z.looseObject({ RepositoryAccessMode: z.enum(['Platform', 'Vpc']) }).optional(),
  ModelDataUrl: z.string().max(1024).optional(),
  ModelDataSource: z
    .looseObject({
      S3DataSource: z
        .looseObject({
          S3Uri,
          S3DataType: z.enum(['S3Prefix', 'S3Object']),
          CompressionType: z.enum(['None', 'Gzip']),
        })
        .optional(),
    })
    .optional(),
  Environment: ContainerEnvironment.optional(),
  ModelPackageName: z.string().max(176).optional(),
})
export type Container = Known<z.infer<typeof Container>>

/** What CreateModel takes. What only AWS can do something with is kept and has no effect here. */
export const CreateModelInput = z.looseObject({
  ModelName: ResourceName(),
  PrimaryContainer: Container.optional(),
  Containers: z.array(Container).max(15).optional(),
  InferenceExecutionConfig: z.looseObject({ Mode: z.enum(['Serial', 'Direct']) }).optional(),
  ExecutionRoleArn: RoleArn.optional(),
  Tags: Tags.optional(),
  EnableNetworkIsolation: z.boolean().optional(),
  VpcConfig: VpcConfig.optional(),
})
export type CreateModelInput = Known<z.infer<typeof CreateModelInput>>

/** What DescribeModel answers. */
export interface ModelDocument extends Omit<CreateModelInput, 'Tags'> {
  ModelArn: string
  CreationTime: number
  EnableNetworkIsolation: boolean
}
