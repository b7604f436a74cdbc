import type { AwsCall } from './projects-access-calls.ts'

interface S3Source {
  S3Uri?: string
}
interface JobRequest {
  TrainingJobName?: string
  TransformJobName?: string
  ModelName?: string
  AlgorithmSpecification?: { TrainingImage?: string }
  TrainingJobDefinition?: JobRequest
  InputDataConfig?: { DataSource?: { S3DataSource?: S3Source } }[]
  OutputDataConfig?: { S3OutputPath?: string }
  CheckpointConfig?: S3Source
  TransformInput?: { DataSource?: { S3DataSource?: S3Source } }
  TransformOutput?: { S3OutputPath?: string }
  PrimaryContainer?: { Image?: string; ModelDataUrl?: string }
  HyperParameters?: Record<string, string>
}

/**
 * What SageMaker will do as the role of a job or model that a request makes, by what AWS says of the role
 * ("CreateTrainingJob API: Execution Role Permissions", and the same of CreateModel): it does so itself, where
 * no client sees it.
 */
export function roleCallsOf(
  operation: string,
  input: unknown,
  arn: (service: string, rest: string) => string,
): AwsCall[] {
  const request = input as JobRequest
  if (operation === 'CreateHyperParameterTuningJob') {
    return roleCallsOf('CreateTrainingJob', request.TrainingJobDefinition, arn)
  }
  if (operation === 'CreateTrainingJob') {
    const read = (request.InputDataConfig ?? []).map(({ DataSource }) => DataSource?.S3DataSource)
    const code = request.HyperParameters?.['sagemaker_submit_directory']
    return [
      ...imageCalls(request.AlgorithmSpecification?.TrainingImage, arn),
      ...[...read.map((source) => source?.S3Uri), code].flatMap((uri) => reads(uri)),
      ...writes(request.OutputDataConfig?.S3OutputPath, request.TrainingJobName ?? 'mlflow-trial'),
      ...(request.CheckpointConfig ? checkpoints(request.CheckpointConfig.S3Uri) : []),
      ...logs('TrainingJobs', arn),
    ]
  }
  if (operation === 'CreateModel') {
    return [
      ...imageCalls(request.PrimaryContainer?.Image, arn),
      ...reads(request.PrimaryContainer?.ModelDataUrl),
      ...logs('Endpoints', arn),
    ]
  }
  if (operation === 'CreateTransformJob') {
    return [
      ...reads(request.TransformInput?.DataSource?.S3DataSource?.S3Uri),
      ...writes(request.TransformOutput?.S3OutputPath, 'answers.out'),
      ...logs('TransformJobs', arn),
    ]
  }
  return []
}

function reads(uri: string | undefined): AwsCall[] {
  const object = objectOf(uri)
  if (!object) return []
  const [bucket = ''] = object.split('/')
  return [call('s3:ListBucket', bucket), call('s3:GetObject', object)]
}

function writes(uri: string | undefined, below: string): AwsCall[] {
  const object = objectOf(uri)
  if (!object) return []
  const key = `${object.replace(/\/$/, '')}/${below}`
  return [call('s3:PutObject', key), call('s3:AbortMultipartUpload', key)]
}

function checkpoints(uri: string | undefined): AwsCall[] {
  const file = `${uri}/checkpoint`
  return [
    ...reads(file),
    ...writes(uri, 'checkpoint'),
    call('s3:DeleteObject', `${objectOf(file)}`),
  ]
}

function objectOf(uri: string | undefined): string | undefined {
  const place = /^"?s3:\/\/(.+?)"?$/.exec(uri ?? '')?.[1]
  return place && `arn:aws:s3:::${place}`
}

/** A folder that stands for an image here would be in the project's repository. */
function imageCalls(
  image: string | undefined,
  arn: (service: string, rest: string) => string,
): AwsCall[] {
  const name = /^\d{12}\.dkr\.ecr\.[^/]+\/([^:@]+)/.exec(image ?? '')?.[1] ?? 'mlflow-training'
  const repository = arn('ecr', `repository/${name}`)
  return [
    call('ecr:GetAuthorizationToken', '*'),
    ...['BatchCheckLayerAvailability', 'GetDownloadUrlForLayer', 'BatchGetImage'].map((action) =>
      call(`ecr:${action}`, repository),
    ),
  ]
}

function logs(group: string, arn: (service: string, rest: string) => string): AwsCall[] {
  const place = `/aws/sagemaker/${group}`
  return [
    ...['CreateLogGroup', 'CreateLogStream', 'DescribeLogStreams', 'PutLogEvents'].map((action) =>
      call(`logs:${action}`, arn('logs', `log-group:${place}:log-stream:x`)),
    ),
    call('cloudwatch:PutMetricData', '*', { 'cloudwatch:namespace': place }),
  ]
}

function call(action: string, resource: string, context: AwsCall['context'] = {}): AwsCall {
  return { action, resource, context }
}
