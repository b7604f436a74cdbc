import { readdir } from 'node:fs/promises'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  ListBucketsCommand,
  PutObjectTaggingCommand,
} from '@aws-sdk/client-s3'
import {
  CreateModelCommand,
  DeleteModelCommand,
  DescribeModelCommand,
  type DescribeModelOutput,
  type VpcConfig,
} from '@aws-sdk/client-sagemaker'
import { Upload } from '@aws-sdk/lib-storage'
import { create } from 'tar'
import { type AwsClients, isAbsent } from '../access/aws-clients.ts'
import type { DeployableModel } from './deployable-model.ts'
import type { DeploymentContext } from './deployment-context.ts'
import { MODEL_URI_TAG, MODEL_VERSION_TAG, tagList } from './deployment-names.ts'

/** What a SageMaker model is made of besides the files. */
export interface ModelSettings {
  image: string
  roleArn: string
  bucket: string
  vpc: VpcConfig | undefined
  /** Set in the container besides what MLflow sets. */
  env: Record<string, string>
  tags: Record<string, string>
}

const PROXY_VARIABLES = ['http_proxy', 'https_proxy', 'no_proxy']
const ARCHIVE = 'model.tar.gz'

/**
 * Uploads a model and makes a SageMaker model of it. Whatever of it was made is removed when `undo` is
 * disposed.
 */
export async function addSageMakerModel(
  context: DeploymentContext,
  undo: AsyncDisposableStack,
  ModelName: string,
  model: DeployableModel,
  settings: ModelSettings,
): Promise<void> {
  const { aws } = context
  await makeBucket(context, settings.bucket)
  const key = `${ModelName}/${ARCHIVE}`
  undo.defer(() =>
    removed(context, `s3://${settings.bucket}/${key}`, deleteUpload(aws, settings.bucket, key)),
  )
  await upload(aws, model.directory, settings.bucket, key)
  await aws.sagemaker.send(
    new CreateModelCommand({
      ModelName,
      PrimaryContainer: {
        Image: settings.image,
        ModelDataUrl: `s3://${settings.bucket}/${key}`,
        Environment: containerEnvironment(model.flavor, settings.env, context.environment),
      },
      ExecutionRoleArn: settings.roleArn,
      Tags: tagList({
        ...settings.tags,
        [MODEL_URI_TAG]: model.uri,
        ...(model.version && {
          [MODEL_VERSION_TAG]: `${model.version.name}/${model.version.version}`,
        }),
      }),
      ...(settings.vpc && { VpcConfig: settings.vpc }),
    }),
  )
  undo.defer(() =>
    removed(
      context,
      `the model ${ModelName}`,
      aws.sagemaker.send(new DeleteModelCommand({ ModelName })),
    ),
  )
  context.report(`Created the model ${ModelName} from ${model.uri}.`)
}

/** A clean-up that does not keep the others from happening, nor hide why there is one. */
export async function removed(
  { report }: DeploymentContext,
  what: string,
  removal: Promise<unknown>,
): Promise<void> {
  try {
    await removal
    report(`Removed ${what}.`)
  } catch (error) {
    if (isAbsent(error)) return
    report(`Could not remove ${what}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** What MLflow's container is told (MLflow 3.17 `_get_deployment_config`). */
export function containerEnvironment(
  flavor: string,
  env: Record<string, string>,
  caller: NodeJS.ProcessEnv,
): Record<string, string> {
  const proxies = PROXY_VARIABLES.flatMap((name): [string, string][] =>
    caller[name] === undefined ? [] : [[name, caller[name]]],
  )
  return {
    MLFLOW_DEPLOYMENT_FLAVOR_NAME: flavor,
    SERVING_ENVIRONMENT: 'SageMaker',
    ...env,
    ...Object.fromEntries(proxies),
  }
}

/** What of a container's environment somebody asked for. */
export function askedEnvironment(environment: Record<string, string> = {}): Record<string, string> {
  const own = new Set(['MLFLOW_DEPLOYMENT_FLAVOR_NAME', 'SERVING_ENVIRONMENT', ...PROXY_VARIABLES])
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !own.has(name)))
}

async function makeBucket({ aws, report }: DeploymentContext, Bucket: string): Promise<void> {
  const { Buckets = [] } = await aws.s3.send(new ListBucketsCommand({}))
  // A bucket of another account that lets us write is not among ours, and is not made either.
  if (Buckets.some(({ Name }) => Name === Bucket) || !Bucket.startsWith(defaultBucketPrefix)) return
  await aws.s3.send(
    new CreateBucketCommand({
      Bucket,
      ...(aws.region !== 'us-east-1' && {
        CreateBucketConfiguration: { LocationConstraint: aws.region as 'eu-west-1' },
      }),
    }),
  )
  report(`Made the bucket ${Bucket}.`)
}

const defaultBucketPrefix = 'mlflow-sagemaker-'

/** MLflow 3.17 `_get_default_s3_bucket`. */
export function defaultBucket(region: string, account: string): string {
  return `${defaultBucketPrefix}${region}-${account}`
}

/** Packs a directory's contents on the way to S3: no copy is kept here. */
async function upload({ s3 }: AwsClients, cwd: string, Bucket: string, Key: string): Promise<void> {
  const names = (await readdir(cwd))
    .sort()
    .map((name) => (name.startsWith('@') ? `./${name}` : name))
  const body = new PassThrough()
  const sending = new Upload({ client: s3, params: { Bucket, Key, Body: body } }).done()
  await Promise.all([pipeline(create({ gzip: true, cwd, portable: true }, names), body), sending])
  await s3.send(
    new PutObjectTaggingCommand({
      Bucket,
      Key,
      Tagging: { TagSet: [{ Key: 'SageMaker', Value: 'true' }] },
    }),
  )
}

async function deleteUpload({ s3 }: AwsClients, Bucket: string, Key: string): Promise<void> {
  await s3.send(new DeleteObjectCommand({ Bucket, Key }))
}

/** A SageMaker model; undefined when there is none of that name. */
export async function findSageMakerModel(
  { sagemaker }: AwsClients,
  ModelName: string,
): Promise<DescribeModelOutput | undefined> {
  try {
    return await sagemaker.send(new DescribeModelCommand({ ModelName }))
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}

/**
 * Removes a SageMaker model and what was uploaded for it. What its data is otherwise, such as the
 * output of a training job, is not ours to remove.
 */
export async function deleteSageMakerModel(
  context: DeploymentContext,
  ModelName: string,
): Promise<void> {
  const { aws, report } = context
  const found = await findSageMakerModel(aws, ModelName)
  if (!found) return
  const [, bucket, key] =
    /^s3:\/\/([^/]+)\/(.+)$/.exec(found.PrimaryContainer?.ModelDataUrl ?? '') ?? []
  if (bucket && key === `${ModelName}/${ARCHIVE}`) {
    await deleteUpload(aws, bucket, key)
    report(`Removed s3://${bucket}/${key}.`)
  }
  await aws.sagemaker.send(new DeleteModelCommand({ ModelName }))
  report(`Removed the model ${ModelName}.`)
}
