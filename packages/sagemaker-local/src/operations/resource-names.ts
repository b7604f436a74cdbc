import { z } from 'zod'
import type { ResourceKind } from '../state/resource-store.ts'
import type { OperationContext } from './operation.ts'

/** Names of jobs, models and endpoints: letters, digits and single hyphens between them. */
export function ResourceName(lengthMax = 63) {
  return z
    .string()
    .min(1)
    .max(lengthMax)
    .regex(new RegExp(`^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,${lengthMax - 1}}$`))
}

/** A role of IAM, which nothing here assumes. */
export const RoleArn = z
  .string()
  .min(20)
  .max(2048)
  .regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/?[a-zA-Z_0-9+=,.@\-_/]+$/)

export const S3Uri = z
  .string()
  .max(1024)
  .regex(/^(https|s3):\/\/([^/]+)\/?(.*)$/)

const TAG = /^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$/u
export const TagKey = z.string().min(1).max(128).regex(TAG)
const VpcMember = z
  .string()
  .max(32)
  .regex(/^[-0-9a-zA-Z]+$/)

export const Tags = z
  .array(z.object({ Key: TagKey, Value: z.string().max(256).regex(TAG) }))
  .max(50)

/** A VPC, which nothing here is in. */
export const VpcConfig = z.looseObject({
  SecurityGroupIds: z.array(VpcMember).min(1).max(5),
  Subnets: z.array(VpcMember).min(1).max(16),
})

const ExperimentName = ResourceName(120).optional()

/** What a job belongs to. */
export const ExperimentConfig = z.looseObject({
  ExperimentName,
  TrialName: ExperimentName,
  TrialComponentDisplayName: ExperimentName,
  RunName: ExperimentName,
})

/** The ARN of a resource; names are in lower case there, as AWS writes them. */
export function resourceArn(
  { settings, region }: Pick<OperationContext, 'settings' | 'region'>,
  kind: ResourceKind,
  name: string,
): string {
  return `arn:aws:sagemaker:${region}:${settings.accountId}:${kind}/${name.toLowerCase()}`
}

/** A time of the wire: seconds since 1970 with the milliseconds as a fraction. */
export function seconds(timeMs: number): number {
  return timeMs / 1000
}
