import { isDeepStrictEqual } from 'node:util'
import type { DeployableModel } from './deployable-model.ts'
import { capacityText, type DeploymentSettings } from './deployment-settings.ts'
import type { Deployment } from './find-deployment.ts'
import { modelNames } from './find-deployment.ts'
import { askedEnvironment } from './sagemaker-model.ts'

/** What an update does to a deployment. */
export interface DeploymentChange {
  mode: 'add' | 'replace'
  model: DeployableModel
  settings: DeploymentSettings
  variantName: string
  isArchive: boolean
}

/** What will be different, in lines for people: settings that stay are not among them. */
export function updatePlan(name: string, current: Deployment, change: DeploymentChange): string[] {
  const { mode, model, settings, variantName } = change
  const old = current.config.ProductionVariants ?? []
  const variant = old.at(-1)
  const deployed = current.models.get(variant?.ModelName ?? '')
  const container = deployed?.PrimaryContainer
  const differences: [what: string, before: unknown, after: unknown][] = [
    ['instances', variant && capacityText(variant), capacityText(settings.capacity)],
    ['image', container?.Image, settings.image],
    ['role', deployed?.ExecutionRoleArn, settings.roleArn],
    ['network', deployed?.VpcConfig, settings.vpc],
    ['environment', askedEnvironment(container?.Environment), settings.env],
    ['data capture', current.config.DataCaptureConfig, settings.dataCapture],
    ['asynchronous', current.config.AsyncInferenceConfig, settings.asyncInference],
  ]
  const lines = differences
    .filter(([, before, after]) => !isDeepStrictEqual(before, after))
    .map(([what, before, after]) => `  ${what}: ${text(before)} -> ${text(after)}`)
  const removed = [
    ...(mode === 'replace' ? modelNames(current.config) : []),
    current.config.EndpointConfigName,
  ]
  return [
    mode === 'add'
      ? `Deployment ${name} gets a variant ${variantName} of ${model.uri}, without traffic yet`
      : `Deployment ${name} serves ${model.uri} in place of ${old.map(({ VariantName }) => VariantName).join(', ')}`,
    ...lines,
    `  ${change.isArchive ? 'kept' : 'removed'} afterwards: ${removed.join(', ')}`,
  ]
}

function text(value: unknown): string {
  if (value === undefined) return 'none'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
