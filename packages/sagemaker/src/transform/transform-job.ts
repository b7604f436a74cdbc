import {
  CreateTransformJobCommand,
  type CreateTransformJobRequest,
  DescribeTransformJobCommand,
  type DescribeTransformJobResponse,
  StopTransformJobCommand,
  type TransformInstanceType,
} from '@aws-sdk/client-sagemaker'
import { ApiError, invalid } from '@millrace/api/errors'
import { type AwsClients, isAbsent } from '../access/aws-clients.ts'
import { poll } from '../access/poll.ts'
import { callerIdentity } from '../deployments/caller-identity.ts'
import { openDeployableModel } from '../deployments/deployable-model.ts'
import type { DeploymentConfig } from '../deployments/deployment-config.ts'
import type { DeploymentContext } from '../deployments/deployment-context.ts'
import { tagList, uniqueName } from '../deployments/deployment-names.ts'
import { resolveSettings } from '../deployments/deployment-settings.ts'
import { lastLogLines } from '../deployments/failure-log.ts'
import { nameProblems, preflight, refuseProblems } from '../deployments/preflight.ts'
import { addSageMakerModel, deleteSageMakerModel } from '../deployments/sagemaker-model.ts'

/** A batch transform job of an MLflow model. */
export interface TransformRequest {
  name: string
  modelUri: string
  flavor: string | undefined
  config: DeploymentConfig
  input: NonNullable<CreateTransformJobRequest['TransformInput']>
  output: NonNullable<CreateTransformJobRequest['TransformOutput']>
  processing: NonNullable<CreateTransformJobRequest['DataProcessing']>
}

const TIMEOUT_SECONDS = 1_200

/**
 * Runs a batch transform job of a model and, when it has completed, removes the model and its upload
 * again unless `archive` keeps them (MLflow 3.17 `deploy_transform_job`). So it does when the job
 * cannot be made or fails.
 */
export async function deployTransformJob(
  context: DeploymentContext,
  request: TransformRequest,
): Promise<void> {
  const { aws, tracking, report } = context
  const { name, config } = request
  if (config.synchronous === false && !config.archive) {
    throw invalid('--async needs --archive: the model can only be removed once the job is over.')
  }
  const problems = nameProblems(name)
  if (problems.length === 0 && (await findTransformJob(aws, name))) {
    problems.push(
      `You are attempting to deploy a batch transform job with name: ${name}. However, a batch ` +
        'transform job with the same name already exists.',
    )
  }
  refuseProblems(problems)
  await using model = await openDeployableModel({
    uri: request.modelUri,
    flavor: request.flavor,
    tracking,
    s3: aws.s3,
  })
  const caller = await callerIdentity(aws)
  const settings = await resolveSettings(context, caller, config, undefined)
  await preflight(context, caller, model, settings, [])

  await using undo = new AsyncDisposableStack()
  const modelName = uniqueName(name, 'model')
  await addSageMakerModel(context, undo, modelName, model, settings)
  const { InstanceType, InitialInstanceCount } = settings.capacity
  const { TransformJobArn } = await aws.sagemaker.send(
    new CreateTransformJobCommand({
      TransformJobName: name,
      ModelName: modelName,
      TransformInput: request.input,
      TransformOutput: request.output,
      DataProcessing: request.processing,
      TransformResources: {
        InstanceType: InstanceType as TransformInstanceType | undefined,
        InstanceCount: InitialInstanceCount,
      },
      Tags: tagList({ model_name: modelName }),
    }),
  )
  report(`Started the transform job ${TransformJobArn}.`)
  if (config.synchronous === false) {
    undo.move()
    return
  }
  const timeoutSeconds = config.timeout_seconds ?? TIMEOUT_SECONDS
  const end = await awaitTransformJob(aws, name, timeoutSeconds)
  if (config.archive || !end) undo.move()
  if (!end) throw stillRunning(aws, name, timeoutSeconds)
  if (end.TransformJobStatus !== 'Completed') throw await failedJob(aws, name, end)
  report(`The transform job ${name} has completed: ${request.output.S3OutputPath}`)
}

/**
 * Stops a transform job and removes its model and upload unless `archive` keeps them. A job that is
 * over already is only cleaned up (MLflow 3.17 `terminate_transform_job`, which crashes there).
 */
export async function terminateTransformJob(
  context: DeploymentContext,
  name: string,
  config: DeploymentConfig,
): Promise<void> {
  const { aws, report } = context
  if (config.synchronous === false && !config.archive) {
    throw invalid('--async needs --archive: the model can only be removed once the job is over.')
  }
  const job = await findTransformJob(aws, name)
  if (!job) throw new ApiError('RESOURCE_DOES_NOT_EXIST', `There is no transform job '${name}'.`)
  if (job.TransformJobStatus === 'InProgress') {
    await aws.sagemaker.send(new StopTransformJobCommand({ TransformJobName: name }))
  }
  if (config.synchronous === false) return
  const timeoutSeconds = config.timeout_seconds ?? TIMEOUT_SECONDS
  const end = await awaitTransformJob(aws, name, timeoutSeconds)
  if (!end) throw stillRunning(aws, name, timeoutSeconds)
  report(`The transform job ${name} is ${end.TransformJobStatus}.`)
  if (!config.archive && job.ModelName) await deleteSageMakerModel(context, job.ModelName)
}

async function findTransformJob(
  { sagemaker }: AwsClients,
  TransformJobName: string,
): Promise<DescribeTransformJobResponse | undefined> {
  try {
    return await sagemaker.send(new DescribeTransformJobCommand({ TransformJobName }))
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

async function awaitTransformJob(aws: AwsClients, name: string, timeoutSeconds: number) {
  return poll(async () => {
    const job = await findTransformJob(aws, name)
    const isOver = !/^(InProgress|Stopping)$/.test(job?.TransformJobStatus ?? '')
    return isOver ? job : undefined
  }, timeoutSeconds)
}

async function failedJob(
  { logs }: AwsClients,
  name: string,
  { TransformJobStatus, FailureReason }: DescribeTransformJobResponse,
): Promise<ApiError> {
  const lines = await lastLogLines(logs, '/aws/sagemaker/TransformJobs', `${name}/`)
  const reason = FailureReason ?? 'SageMaker gives no reason.'
  return new ApiError(
    'INVALID_STATE',
    `The transform job '${name}' is ${TransformJobStatus}: ${reason}${lines}`,
  )
}

function stillRunning({ region }: AwsClients, name: string, seconds: number): ApiError {
  return new ApiError(
    'TEMPORARILY_UNAVAILABLE',
    `The transform job '${name}' in ${region} is not over after ${seconds} seconds. It goes on, and ` +
      'nothing was removed: `millrace sagemaker terminate-transform-job` stops it and cleans up.',
  )
}
