import type {
  AsyncInferenceConfig,
  DataCaptureConfig,
  ProductionVariant,
} from '@aws-sdk/client-sagemaker'
import { type CallerIdentity, callerRole } from './caller-identity.ts'
import type { DeploymentConfig } from './deployment-config.ts'
import type { DeploymentContext } from './deployment-context.ts'
import type { Deployment } from './find-deployment.ts'
import { askedEnvironment, defaultBucket, type ModelSettings } from './sagemaker-model.ts'
import { defaultServingImage } from './serving-image.ts'

/** Everything that a deployment is made with, nothing left to default. */
export interface DeploymentSettings extends ModelSettings {
  /** A variant of the new model without names and weight: its instances, or serverless. */
  capacity: Partial<ProductionVariant>
  dataCapture: DataCaptureConfig | undefined
  asyncInference: AsyncInferenceConfig | undefined
  kmsKeyId: string | undefined
}

/** MLflow 3.17 `DEFAULT_SAGEMAKER_INSTANCE_TYPE`. */
export const DEFAULT_INSTANCE_TYPE = 'ml.m4.xlarge'

/**
 * What the config says, else what the deployment has that is to be changed, else MLflow's defaults.
 * So an update loses nothing that nobody spoke of.
 */
export async function resolveSettings(
  context: DeploymentContext,
  caller: CallerIdentity,
  config: DeploymentConfig,
  current: Deployment | undefined,
): Promise<DeploymentSettings> {
  const variant = current?.config.ProductionVariants?.at(-1)
  const model = current?.models.get(variant?.ModelName ?? '')
  const container = model?.PrimaryContainer
  return {
    image: config.image_url ?? container?.Image ?? (await defaultServingImage(context)),
    roleArn:
      config.execution_role_arn ??
      model?.ExecutionRoleArn ??
      (await callerRole(context.aws, caller)),
    bucket: config.bucket ?? defaultBucket(context.aws.region, caller.account),
    vpc: config.vpc_config ?? model?.VpcConfig,
    env: config.env ?? askedEnvironment(container?.Environment),
    tags: config.tags ?? {},
    capacity: capacityOf(config, variant),
    dataCapture: config.data_capture_config ?? current?.config.DataCaptureConfig,
    asyncInference: filled(config.async_inference_config) ?? current?.config.AsyncInferenceConfig,
    kmsKeyId: current?.config.KmsKeyId,
  }
}

function capacityOf(
  { serverless_config, instance_type, instance_count }: DeploymentConfig,
  variant: ProductionVariant | undefined,
): Partial<ProductionVariant> {
  const serverless = filled(serverless_config)
  if (serverless) return { ServerlessConfig: serverless }
  if (variant?.ServerlessConfig && instance_type === undefined && instance_count === undefined) {
    return { ServerlessConfig: variant.ServerlessConfig }
  }
  return {
    InstanceType: (instance_type ?? variant?.InstanceType ?? DEFAULT_INSTANCE_TYPE) as NonNullable<
      ProductionVariant['InstanceType']
    >,
    InitialInstanceCount: instance_count ?? variant?.InitialInstanceCount ?? 1,
  }
}

/** `{}` is MLflow's way to say nothing. */
function filled<Settings extends object>(settings: Settings | undefined): Settings | undefined {
  return settings && Object.keys(settings).length > 0 ? settings : undefined
}

/** A variant's capacity for people. */
export function capacityText(variant: Partial<ProductionVariant>): string {
  const { ServerlessConfig: serverless, InstanceType, InitialInstanceCount } = variant
  if (!serverless) return `${InitialInstanceCount} x ${InstanceType}`
  return `serverless, ${serverless.MemorySizeInMB} MB, at most ${serverless.MaxConcurrency} at once`
}
