import type { AccessScope, AccessStatement } from './access-policies.ts'
import { jobRoleOf } from './job-policy.ts'

/**
 * What `millrace run -b sagemaker`, `deployments` and `sagemaker`, MLflow's SageMaker client and the
 * SageMaker SDK ask for, with names that begin with the project's. `tests/compat/projects-access.test.ts`
 * records their calls and holds this against them.
 */
export function sagemakerPolicy(scope: AccessScope): AccessStatement[] {
  const { partition, region, account, project } = scope
  const arn = (service: string, rest: string) =>
    `arn:${partition}:${service}:${region}:${account}:${rest}`
  const named = (...kinds: string[]) => kinds.map((kind) => arn('sagemaker', `${kind}/${project}*`))
  const role = (name: string) => `arn:${partition}:iam::${account}:role/${name}`
  return [
    allow(
      'Jobs',
      JOBS.map((action) => `sagemaker:${action}`),
      named('training-job', 'hyper-parameter-tuning-job', 'transform-job'),
    ),
    allow(
      'Endpoints',
      ENDPOINTS.map((action) => `sagemaker:${action}`),
      named('model', 'endpoint-config', 'endpoint'),
    ),
    // SageMaker has no way to say which.
    allow('Lists', ['sagemaker:ListEndpoints', 'sagemaker:ListEndpointConfigs'], ['*']),
    {
      ...allow('PassRole', ['iam:PassRole'], [jobRoleOf(scope)]),
      Condition: { StringEquals: { 'iam:PassedToService': 'sagemaker.amazonaws.com' } },
    },
    allow('Roles', ['iam:GetRole', 'iam:SimulatePrincipalPolicy'], [role(`${project}*`)]),
    ...fileStatements(scope),
    allow(
      'Images',
      ['ecr:DescribeRepositories', 'ecr:DescribeImages'],
      ['mlflow-pyfunc', `${project}*`].map((name) => arn('ecr', `repository/${name}`)),
    ),
    allow(
      'Logs',
      ['logs:GetLogEvents', 'logs:DescribeLogStreams'],
      [arn('logs', 'log-group:/aws/sagemaker/*')],
    ),
  ]
}

const JOBS = [
  'CreateTrainingJob',
  'DescribeTrainingJob',
  'StopTrainingJob',
  'CreateHyperParameterTuningJob',
  'DescribeHyperParameterTuningJob',
  'StopHyperParameterTuningJob',
  'CreateTransformJob',
  'DescribeTransformJob',
  'StopTransformJob',
  'AddTags',
  'ListTags',
]
const ENDPOINTS = [
  'CreateModel',
  'DescribeModel',
  'DeleteModel',
  'CreateEndpointConfig',
  'DescribeEndpointConfig',
  'DeleteEndpointConfig',
  'CreateEndpoint',
  'DescribeEndpoint',
  'UpdateEndpoint',
  'DeleteEndpoint',
  'InvokeEndpoint',
  'AddTags',
  'ListTags',
]

/**
 * The stack's bucket below `sagemaker/`, and the two that the clients make when none is named: the
 * SDK's, where projects are packed to too, and MLflow's, whose keys begin with the model's name.
 */
function fileStatements(scope: AccessScope): AccessStatement[] {
  const { partition, region, account, project } = scope
  const bucket = (name: string) => `arn:${partition}:s3:::${name}`
  const sdk = bucket(`sagemaker-${region}-${account}`)
  const mlflow = bucket(`mlflow-sagemaker-${region}-${account}`)
  const objects = ['GetObject', 'PutObject', 'PutObjectTagging', 'DeleteObject']
  return [
    allow(
      'Files',
      [...objects, 'AbortMultipartUpload'].map((action) => `s3:${action}`),
      [
        `${bucket(scope.bucket)}/sagemaker/*`,
        `${sdk}/sagemaker/projects/*`,
        `${sdk}/${project}*`,
        `${mlflow}/${project}*`,
      ],
    ),
    allow('ListFiles', ['s3:ListBucket'], [bucket(scope.bucket), sdk, mlflow]),
    allow('MakeBuckets', ['s3:CreateBucket'], [sdk, mlflow]),
    allow('FindBuckets', ['s3:ListAllMyBuckets'], ['*']),
  ]
}

function allow(Sid: string, Action: string[], Resource: string[]): AccessStatement {
  return { Sid, Effect: 'Allow', Action, Resource }
}
