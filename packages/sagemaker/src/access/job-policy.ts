import type { AccessScope, AccessStatement } from './access-policies.ts'

const PULL = ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer']

/**
 * What SageMaker does as the role of a job, a model or an endpoint, and what `millrace train` does inside of
 * one: it reads code, inputs and models, writes what comes out, pulls the image, keeps logs and metrics.
 * The tracking server takes the run itself, and links of it the artifacts.
 */
export function jobPolicy(scope: AccessScope): AccessStatement[] {
  const { partition, region, account, project, key } = scope
  const arn = (service: string, rest: string) =>
    `arn:${partition}:${service}:${region}:${account}:${rest}`
  const bucket = (name: string) => `arn:${partition}:s3:::${name}`
  const stack = bucket(scope.bucket)
  const sdk = bucket(`sagemaker-${region}-${account}`)
  const mlflow = bucket(`mlflow-sagemaker-${region}-${account}`)
  return [
    allow(
      'Files',
      ['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload'],
      [`${stack}/sagemaker/*`, `${sdk}/sagemaker/projects/*`, `${sdk}/${project}*`],
    ),
    allow('Models', ['s3:GetObject'], [`${mlflow}/${project}*`]),
    allow('ListFiles', ['s3:ListBucket'], [stack, sdk, mlflow]),
    ...(key ? [allow('FileKey', ['kms:Decrypt', 'kms:GenerateDataKey'], [key])] : []),
    allow('Login', ['ecr:GetAuthorizationToken'], ['*']),
    allow('PullImage', PULL, [arn('ecr', `repository/${project}*`)]),
    allow('PullPyfunc', PULL, [arn('ecr', 'repository/mlflow-pyfunc')]),
    allow(
      'Logs',
      [
        'logs:CreateLogGroup',
        'logs:CreateLogStream',
        'logs:DescribeLogStreams',
        'logs:PutLogEvents',
      ],
      [arn('logs', 'log-group:/aws/sagemaker/*')],
    ),
    {
      ...allow('Metrics', ['cloudwatch:PutMetricData'], ['*']),
      Condition: { StringLike: { 'cloudwatch:namespace': '/aws/sagemaker/*' } },
    },
  ]
}

/** The ARN of the role that jobs and endpoints are given, `PROJECT-sagemaker` unless one is named. */
export function jobRoleOf({ partition, account, project, jobRole }: AccessScope): string {
  return jobRole ?? `arn:${partition}:iam::${account}:role/${project}-sagemaker`
}

function allow(Sid: string, Action: string[], Resource: string[]): AccessStatement {
  return { Sid, Effect: 'Allow', Action, Resource }
}
