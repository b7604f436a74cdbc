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

export const Tags = z
  .array(z.object({ Key: z.string().min(1).max(128), Value: z.string().max(256) }))
  .max(50)

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
