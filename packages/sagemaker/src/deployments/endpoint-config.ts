import {
  CreateEndpointConfigCommand,
  DeleteEndpointConfigCommand,
  type ProductionVariant,
} from '@aws-sdk/client-sagemaker'
import type { DeploymentContext } from './deployment-context.ts'
import { APP_TAG, tagList } from './deployment-names.ts'
import type { DeploymentSettings } from './deployment-settings.ts'
import { removed } from './sagemaker-model.ts'

/** A configuration to make. */
export interface NewEndpointConfig {
  deployment: string
  name: string
  variants: ProductionVariant[]
  settings: DeploymentSettings
}

/** Makes an endpoint configuration, which is removed when `undo` is disposed. */
export async function addEndpointConfig(
  context: DeploymentContext,
  undo: AsyncDisposableStack,
  { deployment, name, variants, settings }: NewEndpointConfig,
): Promise<void> {
  const { sagemaker } = context.aws
  const { asyncInference, dataCapture, kmsKeyId } = settings
  await sagemaker.send(
    new CreateEndpointConfigCommand({
      EndpointConfigName: name,
      ProductionVariants: variants,
      Tags: tagList({ [APP_TAG]: deployment }),
      ...(asyncInference && { AsyncInferenceConfig: asyncInference }),
      ...(dataCapture && { DataCaptureConfig: dataCapture }),
      ...(kmsKeyId && { KmsKeyId: kmsKeyId }),
    }),
  )
  undo.defer(() =>
    removed(
      context,
      `the endpoint configuration ${name}`,
      sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName: name })),
    ),
  )
  context.report(`Created the endpoint configuration ${name}.`)
}
