import type { Stack } from 'aws-cdk-lib'
import * as iam from 'aws-cdk-lib/aws-iam'
import { accept } from './accepted-findings.ts'

/** Lets a role pull the images of the project, which are those whose repository starts with its name. */
export function allowImagePull(stack: Stack, role: iam.Role, projectName: string): void {
  role.addToPolicy(
    new iam.PolicyStatement({
      sid: 'Login',
      actions: ['ecr:GetAuthorizationToken'],
      resources: ['*'],
    }),
  )
  role.addToPolicy(
    new iam.PolicyStatement({
      sid: 'PullImage',
      actions: [
        'ecr:BatchCheckLayerAvailability',
        'ecr:BatchGetImage',
        'ecr:GetDownloadUrlForLayer',
      ],
      resources: [
        `arn:${stack.partition}:ecr:${stack.region}:${stack.account}:repository/${projectName}*`,
      ],
    }),
  )
  accept(role, 'AwsSolutions-IAM5[Resource::*]', 'A login for ECR names no repository.')
  accept(
    role,
    'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ecr:<AWS::Region>:<AWS::AccountId>:repository/<ProjectName>*]',
    'The repositories of the project have its name in front of theirs.',
  )
}
