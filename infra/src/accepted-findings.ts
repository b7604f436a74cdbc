import { Validations } from 'aws-cdk-lib'
import type { IConstruct } from 'constructs'

/**
 * Accepts a finding of cdk-nag at one construct; the reason stays in the template beside it.
 *
 * @param id such as `AwsSolutions-IAM5[Resource::*]`
 */
export function accept(construct: IConstruct, id: string, reason: string): void {
  Validations.of(construct).acknowledge({ id, reason })
}
