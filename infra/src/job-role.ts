import { CfnOutput, type Stack } from 'aws-cdk-lib'
import * as iam from 'aws-cdk-lib/aws-iam'
import type * as kms from 'aws-cdk-lib/aws-kms'
import type * as s3 from 'aws-cdk-lib/aws-s3'
import { accept } from './accepted-findings.ts'
import type { StackParameters } from './deployment.ts'
import { allowImagePull } from './image-access.ts'

interface JobRoleParts {
  parameters: StackParameters
  bucket: s3.IBucket
  key?: kms.IKey | undefined
}

/**
 * The role that training jobs, models and endpoints of the project are given, for SageMaker alone, with what
 * `millrace aws print-policy job` prints. It does not reach the artifacts, which the server has.
 */
export function addJobRole(stack: Stack, { parameters, bucket, key }: JobRoleParts): void {
  const { partition, region, account } = stack
  const { projectName } = parameters
  const role = new iam.Role(stack, 'JobRole', {
    description: 'What jobs and endpoints of SageMaker act as',
    assumedBy: new iam.ServicePrincipal('sagemaker.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': account } },
    }),
  })
  const sdk = `arn:${partition}:s3:::sagemaker-${region}-${account}`
  const models = `arn:${partition}:s3:::mlflow-sagemaker-${region}-${account}`
  const files = [
    bucket.arnForObjects('sagemaker/*'),
    `${sdk}/sagemaker/projects/*`,
    `${sdk}/${projectName}*`,
  ]
  const repositories = `arn:${partition}:ecr:${region}:${account}:repository`
  const logGroups = `arn:${partition}:logs:${region}:${account}:log-group:/aws/sagemaker/*`
  allowImagePull(stack, role, projectName)
  const statements = [
    {
      sid: 'Files',
      actions: ['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload'],
      resources: files,
    },
    { sid: 'Models', actions: ['s3:GetObject'], resources: [`${models}/${projectName}*`] },
    { sid: 'ListFiles', actions: ['s3:ListBucket'], resources: [bucket.bucketArn, sdk, models] },
    ...(key
      ? [
          {
            sid: 'FileKey',
            actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
            resources: [key.keyArn],
          },
        ]
      : []),
    {
      sid: 'PullPyfunc',
      actions: [
        'ecr:BatchCheckLayerAvailability',
        'ecr:BatchGetImage',
        'ecr:GetDownloadUrlForLayer',
      ],
      resources: [`${repositories}/mlflow-pyfunc`],
    },
    {
      sid: 'Logs',
      actions: [
        'logs:CreateLogGroup',
        'logs:CreateLogStream',
        'logs:DescribeLogStreams',
        'logs:PutLogEvents',
      ],
      resources: [logGroups],
    },
    {
      sid: 'Metrics',
      actions: ['cloudwatch:PutMetricData'],
      resources: ['*'],
      conditions: { StringLike: { 'cloudwatch:namespace': '/aws/sagemaker/*' } },
    },
  ]
  for (const statement of statements) role.addToPolicy(new iam.PolicyStatement(statement))
  acceptPrefixes(stack, role, bucket)
  new CfnOutput(stack, 'JobRoleArn', {
    value: role.roleArn,
    description: 'The role of jobs, models and endpoints of SageMaker.',
  })
}

function acceptPrefixes(stack: Stack, role: iam.Role, bucket: s3.IBucket): void {
  const sdk = 'arn:<AWS::Partition>:s3:::sagemaker-<AWS::Region>-<AWS::AccountId>'
  const models = 'arn:<AWS::Partition>:s3:::mlflow-sagemaker-<AWS::Region>-<AWS::AccountId>'
  const { defaultChild } = bucket.node
  const id = defaultChild ? stack.getLogicalId(defaultChild as s3.CfnBucket) : ''
  const reason = 'Jobs are named after the project, and what they read and write after them.'
  for (const resource of [
    `<${id}.Arn>/sagemaker/*`,
    `${sdk}/sagemaker/projects/*`,
    `${sdk}/<ProjectName>*`,
    `${models}/<ProjectName>*`,
    'arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:/aws/sagemaker/*',
  ]) {
    accept(role, `AwsSolutions-IAM5[Resource::${resource}]`, reason)
  }
}
