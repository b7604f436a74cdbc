import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs'
import { ECRClient } from '@aws-sdk/client-ecr'
import { IAMClient } from '@aws-sdk/client-iam'
import { S3Client } from '@aws-sdk/client-s3'
import { SageMakerClient } from '@aws-sdk/client-sagemaker'
import { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime'
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts'
import { invalid } from '@millrace/api/errors'

/** Where in AWS something is done, and as whom. */
export interface AwsPlace {
  /** Of the caller's configuration when there is none; us-west-2 when that has none either. */
  region: string | undefined
  /** A role to take on first, in another account maybe. */
  assumeRoleArn: string | undefined
  /** Whose `AWS_ENDPOINT_URL` says whether AWS itself is meant. */
  environment: NodeJS.ProcessEnv
}

/** Clients of one region with one identity. Credentials and endpoints are found as all SDKs find them. */
export interface AwsClients extends Disposable {
  region: string
  /** False when ECR is somebody else's, such as a control plane on this machine. */
  hasAmazonEcr: boolean
  sagemaker: SageMakerClient
  runtime: SageMakerRuntimeClient
  s3: S3Client
  sts: STSClient
  iam: IAMClient
  ecr: ECRClient
  logs: CloudWatchLogsClient
}

/** MLflow 3.17 `mlflow.sagemaker.DEFAULT_REGION_NAME`. */
const DEFAULT_REGION = 'us-west-2'
const SESSION_NAME = 'mlflow-sagemaker'

/** Makes the clients, taking the role on first if there is one. */
export async function openAws({
  region: wanted,
  assumeRoleArn,
  environment,
}: AwsPlace): Promise<AwsClients> {
  const region = wanted ?? (await configuredRegion())
  const credentials = assumeRoleArn ? await assumeRole(assumeRoleArn, region) : undefined
  const options = { region, ...(credentials && { credentials }) }
  const named = (service: string) => Boolean(environment[`AWS_ENDPOINT_URL${service}`])
  const clients = {
    sagemaker: new SageMakerClient(options),
    runtime: new SageMakerRuntimeClient(options),
    // Buckets of another endpoint than AWS's seldom have host names of their own.
    s3: new S3Client({ ...options, forcePathStyle: named('') || named('_S3') }),
    sts: new STSClient(options),
    iam: new IAMClient(options),
    ecr: new ECRClient(options),
    logs: new CloudWatchLogsClient(options),
  }
  return {
    ...clients,
    region,
    hasAmazonEcr: !named('') && !named('_ECR'),
    [Symbol.dispose]() {
      for (const client of Object.values(clients)) client.destroy()
    },
  }
}

async function configuredRegion(): Promise<string> {
  const sts = new STSClient({})
  try {
    return await sts.config.region()
  } catch (error) {
    if (error instanceof Error && /Region is missing/.test(error.message)) return DEFAULT_REGION
    throw error
  } finally {
    sts.destroy()
  }
}

async function assumeRole(RoleArn: string, region: string) {
  const sts = new STSClient({ region })
  try {
    const { Credentials } = await sts.send(
      new AssumeRoleCommand({ RoleArn, RoleSessionName: SESSION_NAME }),
    )
    const { AccessKeyId, SecretAccessKey, SessionToken } = Credentials ?? {}
    if (!AccessKeyId || !SecretAccessKey || !SessionToken) {
      throw invalid(`STS gave no keys for the role ${RoleArn}.`)
    }
    return {
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretAccessKey,
      sessionToken: SessionToken,
    }
  } finally {
    sts.destroy()
  }
}

/** Whether AWS says that what was named is not there; SageMaker has no code for it, only words. */
export function isAbsent(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (/^(NoSuch|ResourceNotFound)/.test(error.name)) return true
  return error.name === 'ValidationException' && /could not find|not found/i.test(error.message)
}
