import { readFile } from 'node:fs/promises'
import type { DeploymentConfig } from '@millrace/sagemaker/deployments/deployment-config'
import type { Command } from 'commander'

/** Flags of MLflow's `mlflow sagemaker` commands that make something of a model. */
export interface SageMakerModelFlags {
  modelUri: string
  executionRoleArn?: string
  bucket?: string
  imageUrl?: string
  regionName?: string
  vpcConfig?: string
  flavor?: string
}

/** Flags of its commands that wait for something. */
export interface WaitFlags {
  archive?: true
  async?: true
  timeout: number
}

/** Adds the model and where it goes. */
export function addSageMakerModel(command: Command): Command {
  return command
    .helpOption('--help')
    .allowExcessArguments(false)
    .requiredOption(
      '-m, --model-uri <uri>',
      'models:/name/version, models:/name@alias, runs:/id/path, s3://bucket/path or a directory',
    )
    .option('-e, --execution-role-arn <arn>', 'role that SageMaker runs the model as')
    .option('-b, --bucket <name>', 'bucket of the upload')
    .option('-i, --image-url <image>', 'image that serves')
    .option('--region-name <region>', 'default: of your AWS configuration, else us-west-2')
    .option('-v, --vpc-config <file>', 'a JSON file with the VpcConfig of the API')
    .option('-f, --flavor <name>', 'python_function')
}

/** What those flags say, by the keys of deployments. */
export async function modelConfig(flags: SageMakerModelFlags): Promise<DeploymentConfig> {
  const { parseDeploymentConfig } = await import(
    '@millrace/sagemaker/deployments/deployment-config'
  )
  const vpc = flags.vpcConfig === undefined ? undefined : await readFile(flags.vpcConfig, 'utf8')
  const pairs = Object.entries({
    execution_role_arn: flags.executionRoleArn,
    bucket: flags.bucket,
    image_url: flags.imageUrl,
    region_name: flags.regionName,
    vpc_config: vpc,
  }).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`]))
  return parseDeploymentConfig(pairs, { region: undefined, assumeRoleArn: undefined })
}
