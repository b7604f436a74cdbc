import { cloudformationNetworkPolicy, cloudformationPolicy } from './cloudformation-policy.ts'
import { jobPolicy } from './job-policy.ts'
import { sagemakerPolicy } from './sagemaker-policy.ts'

/** What the policies are about. */
export interface AccessScope {
  partition: string
  region: string
  account: string
  /** The `ProjectName` of the stack. */
  project: string
  /** The bucket of the artifacts: the stack's output `BucketName`. */
  bucket: string
  /** ARNs that only some stacks have. */
  key?: string | undefined
  databaseSecret?: string | undefined
  /** The role that jobs and endpoints are given: the stack's output `JobRoleArn`. */
  jobRole?: string | undefined
}

/** One permission of an IAM policy. */
export interface AccessStatement {
  Sid: string
  Effect: 'Allow'
  Action: string[]
  Resource: string[]
  Condition?: Record<string, Record<string, string | string[]>>
}

export interface AccessPolicy {
  Version: '2012-10-17'
  Statement: AccessStatement[]
}

/** The policies there are, and whose each is. */
export const POLICIES = {
  task: 'the tracking server',
  execution: 'ECS when it starts the server',
  push: 'who pushes images',
  deploy: 'who deploys the stack: CloudFormation acts as the role PROJECT-deploy',
  cloudformation: 'the role PROJECT-deploy, for what has a name of its own',
  'cloudformation-network':
    'the role PROJECT-deploy too, for networks and what has no name of its own',
  sagemaker: 'who trains and deploys models with millrace sagemaker',
  job: 'the role that training jobs, models and endpoints are given',
} as const

export type PolicyName = keyof typeof POLICIES

/** The policy of that name, with no more than what the named one does. */
export function accessPolicy(name: PolicyName, scope: AccessScope): AccessPolicy {
  const statements = {
    task,
    execution,
    push,
    deploy,
    sagemaker: sagemakerPolicy,
    job: jobPolicy,
    cloudformation: cloudformationPolicy,
    'cloudformation-network': cloudformationNetworkPolicy,
  }
  return { Version: '2012-10-17', Statement: statements[name](scope) }
}

const PULL = ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer']

function allow(
  Sid: string,
  Action: string[],
  Resource: string[],
  Condition?: AccessStatement['Condition'],
): AccessStatement {
  return { Sid, Effect: 'Allow', Action, Resource, ...(Condition && { Condition }) }
}

function task({ partition, bucket, key }: AccessScope): AccessStatement[] {
  const arn = `arn:${partition}:s3:::${bucket}`
  return [
    allow(
      'Artifacts',
      [
        's3:GetObject',
        's3:PutObject',
        's3:DeleteObject',
        's3:AbortMultipartUpload',
        's3:ListMultipartUploadParts',
      ],
      [`${arn}/artifacts/*`],
    ),
    allow('ListArtifacts', ['s3:ListBucket'], [arn], {
      StringLike: { 's3:prefix': ['artifacts', 'artifacts/*'] },
    }),
    ...(key ? [allow('ArtifactKey', ['kms:Decrypt', 'kms:GenerateDataKey'], [key])] : []),
  ]
}

function execution(scope: AccessScope): AccessStatement[] {
  const { partition, region, account, databaseSecret, key } = scope
  const logGroups = `arn:${partition}:logs:${region}:${account}:log-group:*ServerLogs*:*`
  return [
    allow('Login', ['ecr:GetAuthorizationToken'], ['*']),
    allow('PullImage', PULL, [repositories(scope)]),
    ...(databaseSecret
      ? [allow('DatabasePassword', ['secretsmanager:GetSecretValue'], [databaseSecret])]
      : []),
    ...(key ? [allow('SecretKey', ['kms:Decrypt'], [key])] : []),
    allow('WriteLogs', ['logs:CreateLogStream', 'logs:PutLogEvents'], [logGroups]),
  ]
}

function push(scope: AccessScope): AccessStatement[] {
  // MLflow's image has a name of its own.
  const images = [repositories(scope), pyfuncRepository(scope)]
  return [
    allow('Login', ['ecr:GetAuthorizationToken'], ['*']),
    allow('MakeRepository', ['ecr:CreateRepository', 'ecr:DescribeRepositories'], images),
    allow(
      'PushImage',
      [
        ...PULL,
        'ecr:InitiateLayerUpload',
        'ecr:UploadLayerPart',
        'ecr:CompleteLayerUpload',
        'ecr:PutImage',
        'ecr:BatchDeleteImage',
      ],
      images,
    ),
  ]
}

function deploy(scope: AccessScope): AccessStatement[] {
  const { partition, region, account, project } = scope
  const stacks = `arn:${partition}:cloudformation:${region}:${account}:stack/${project}*/*`
  return [
    allow(
      'Stack',
      [
        'cloudformation:CreateChangeSet',
        'cloudformation:DeleteChangeSet',
        'cloudformation:DescribeChangeSet',
        'cloudformation:DescribeStackEvents',
        'cloudformation:DescribeStackResources',
        'cloudformation:DescribeStacks',
        'cloudformation:ExecuteChangeSet',
        'cloudformation:GetTemplate',
        'cloudformation:UpdateTerminationProtection',
      ],
      [stacks],
    ),
    allow(
      'Template',
      ['cloudformation:GetTemplateSummary', 'cloudformation:ValidateTemplate'],
      ['*'],
    ),
    allow(
      'PassRole',
      ['iam:PassRole'],
      [`arn:${partition}:iam::${account}:role/${project}-deploy`],
      {
        StringEquals: { 'iam:PassedToService': 'cloudformation.amazonaws.com' },
      },
    ),
    allow(
      'TemplateBucket',
      ['s3:GetObject', 's3:PutObject'],
      [`arn:${partition}:s3:::${project}-templates-${account}/*`],
    ),
    ...push(scope),
  ]
}

function repositories({ partition, region, account, project }: AccessScope): string {
  return `arn:${partition}:ecr:${region}:${account}:repository/${project}*`
}

/** The repository of `build-and-push-container`. */
function pyfuncRepository({ partition, region, account }: AccessScope): string {
  return `arn:${partition}:ecr:${region}:${account}:repository/mlflow-pyfunc`
}
