import type { Command } from 'commander'
import { addTarget } from './deployments-options.ts'

const TEXT = `Targets
  sagemaker                      the region of your AWS configuration, else us-west-2
  sagemaker:/REGION
  sagemaker:/REGION/ROLE_ARN     as a role that is assumed first

AWS_ENDPOINT_URL leads to a control plane on this machine: eval "$(millrace env)".

Settings of create and update, -C key=value
  execution_role_arn     role that SageMaker runs the model as (default: yours)
  image_url              default: MLFLOW_SAGEMAKER_DEPLOY_IMG_URL, else mlflow-pyfunc in ECR
  bucket                 for the upload (default: mlflow-sagemaker-REGION-ACCOUNT, made if missing)
  instance_type          ml.m4.xlarge
  instance_count         1
  serverless_config      {"MemorySizeInMB": 2048, "MaxConcurrency": 5}, in place of instances
  variant_name           default: the name of the SageMaker model
  env, tags              JSON objects of texts
  vpc_config, data_capture_config, async_inference_config
                         JSON objects as SageMaker's API has them
  region_name, assume_role_arn
                         in place of the target's
  mode                   update: replace (default) or add
  synchronous            False returns before the endpoint serves
  timeout_seconds        1200
  archive                True keeps what is not in use any more

An update keeps what it is not told. delete knows region_name, assume_role_arn, archive, synchronous
and timeout_seconds (300); run-local knows port and image.
`

/** Adds `deployments help`. */
export function addDeploymentsHelp(deployments: Command): void {
  addTarget(deployments.command('help'))
    .description('Say what targets and settings there are.')
    .action(() => {
      process.stdout.write(TEXT)
    })
}
