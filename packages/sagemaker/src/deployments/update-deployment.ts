import {
  AddTagsCommand,
  DeleteEndpointConfigCommand,
  type ProductionVariant,
  UpdateEndpointCommand,
} from '@aws-sdk/client-sagemaker'
import { ApiError, invalid } from '@millrace/api/errors'
import { awaitEndpoint, timedOut } from './await-endpoint.ts'
import { callerIdentity } from './caller-identity.ts'
import type { DeploymentOutcome, DeploymentRequest } from './create-deployment.ts'
import { type DeployableModel, openDeployableModel } from './deployable-model.ts'
import type { DeploymentContext } from './deployment-context.ts'
import { tagList, uniqueName } from './deployment-names.ts'
import { resolveSettings } from './deployment-settings.ts'
import { addEndpointConfig } from './endpoint-config.ts'
import { type Deployment, getDeployment, modelNames } from './find-deployment.ts'
import { addEndpointTag, removeEndpointTag } from './model-version.ts'
import { preflight } from './preflight.ts'
import { addSageMakerModel, deleteSageMakerModel } from './sagemaker-model.ts'
import { type DeploymentChange, updatePlan } from './update-plan.ts'

const TIMEOUT_SECONDS = 1_200
const ROLLBACK_SECONDS = 1_200

/**
 * Serves another model at an endpoint: in place of the ones it has (`replace`), or beside them with no
 * traffic (`add`). What nobody speaks of stays as it is. A failed update leaves the endpoint with the
 * configuration it had, and nothing of the new one.
 */
export async function updateDeployment(
  context: DeploymentContext,
  request: DeploymentRequest,
): Promise<DeploymentOutcome> {
  const { aws, tracking, report } = context
  const { name, config } = request
  const mode = config.mode ?? 'replace'
  if (mode === 'create') {
    throw invalid(
      `You are attempting to deploy an application with name: ${name} in 'create' mode. However, an ` +
        'update needs one that exists: deploy in add or replace mode.',
    )
  }
  if (config.synchronous === false && !config.archive) {
    throw invalid(
      'synchronous=False needs archive=True: the old model can only be removed once the new one serves.',
    )
  }
  const current = await getDeployment(aws, name)
  await using model = await openDeployableModel({
    uri: request.modelUri,
    flavor: request.flavor,
    tracking,
    s3: aws.s3,
  })
  const caller = await callerIdentity(aws)
  const settings = await resolveSettings(context, caller, config, current)
  const modelName = uniqueName(name, 'model')
  const change: DeploymentChange = {
    mode,
    model,
    settings,
    variantName: config.variant_name || modelName,
    isArchive: config.archive === true,
  }
  await preflight(context, caller, model, settings, updateProblems(current, change))
  for (const line of updatePlan(name, current, change)) report(line)
  if (request.isPlan) return { name, flavor: model.flavor, isPlan: true }

  await using undo = new AsyncDisposableStack()
  await addSageMakerModel(context, undo, modelName, model, settings)
  const configName = uniqueName(name, 'config')
  await addEndpointConfig(context, undo, {
    deployment: name,
    name: configName,
    variants: variantsAfter(current, change, modelName),
    settings,
  })
  await startUpdate(context, current, request, configName)
  if (config.synchronous !== false) {
    await finishUpdate(context, undo, current, request, configName)
  }
  undo.move()
  await recordVersions(context, current, change)
  if (!config.archive) await removeReplaced(context, current, mode)
  return { name, flavor: model.flavor, isPlan: false }
}

function updateProblems({ endpoint, config }: Deployment, change: DeploymentChange): string[] {
  const { EndpointName, EndpointStatus } = endpoint
  const problems: string[] = []
  if (EndpointStatus !== 'InService' && EndpointStatus !== 'Failed') {
    problems.push(`The endpoint ${EndpointName} is ${EndpointStatus}: wait until it is InService.`)
  }
  const names = (config.ProductionVariants ?? []).map(({ VariantName }) => VariantName)
  if (change.mode === 'add' && names.includes(change.variantName)) {
    problems.push(
      `The endpoint ${EndpointName} has a variant ${change.variantName} already: name another with ` +
        '-C variant_name=NAME.',
    )
  }
  return problems
}

function variantsAfter(
  { config }: Deployment,
  { mode, settings, variantName }: DeploymentChange,
  ModelName: string,
): ProductionVariant[] {
  const added = {
    VariantName: variantName,
    ModelName,
    InitialVariantWeight: mode === 'add' ? 0 : 1,
    ...settings.capacity,
  }
  return mode === 'add' ? [...(config.ProductionVariants ?? []), added] : [added]
}

async function startUpdate(
  { aws, report }: DeploymentContext,
  { endpoint }: Deployment,
  { name, config }: DeploymentRequest,
  EndpointConfigName: string,
): Promise<void> {
  await aws.sagemaker.send(
    new UpdateEndpointCommand({
      EndpointName: name,
      EndpointConfigName,
      // Weights and instance counts may have been changed since the configuration was made.
      ...(config.mode === 'add' && {
        RetainAllVariantProperties: true,
        ExcludeRetainedVariantProperties: [{ VariantPropertyType: 'DataCaptureConfig' }],
      }),
    }),
  )
  if (config.tags) {
    await aws.sagemaker.send(
      new AddTagsCommand({ ResourceArn: endpoint.EndpointArn, Tags: tagList(config.tags) }),
    )
  }
  report(`Updating the endpoint ${name}.`)
}

/** Waits for the new configuration; without success the old one is there again when this throws. */
async function finishUpdate(
  context: DeploymentContext,
  undo: AsyncDisposableStack,
  { endpoint }: Deployment,
  { name, config }: DeploymentRequest,
  configName: string,
): Promise<void> {
  const timeoutSeconds = config.timeout_seconds ?? TIMEOUT_SECONDS
  const end = await awaitEndpoint(context, name, configName, timeoutSeconds)
  if (end.kind === 'in service') return
  if (end.kind === 'timed out') {
    undo.move()
    throw timedOut(name, end.status, timeoutSeconds)
  }
  const before = endpoint.EndpointConfigName ?? ''
  if (end.kind === 'rolled back') {
    throw failedUpdate(name, end.why, `It serves as before, with ${before}.`)
  }
  const back = await restore(context, name, before)
  // A configuration that an endpoint may still be using must stay.
  if (!back.isRestored) undo.move()
  throw failedUpdate(name, end.why, back.text)
}

async function restore(
  context: DeploymentContext,
  name: string,
  configName: string,
): Promise<{ isRestored: boolean; text: string }> {
  context.report(`The update has failed; going back to ${configName}.`)
  try {
    await context.aws.sagemaker.send(
      new UpdateEndpointCommand({ EndpointName: name, EndpointConfigName: configName }),
    )
    const end = await awaitEndpoint(context, name, configName, ROLLBACK_SECONDS)
    if (end.kind === 'in service') {
      return { isRestored: true, text: `It has been put back to ${configName}.` }
    }
    const how = 'why' in end ? end.why : `it is ${end.status}`
    return { isRestored: false, text: `It could not be put back to ${configName}: ${how}` }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { isRestored: false, text: `It could not be put back to ${configName}: ${why}` }
  }
}

function failedUpdate(name: string, why: string, state: string): ApiError {
  return new ApiError('INVALID_STATE', `The update of '${name}' has failed: ${why}\n${state}`)
}

async function recordVersions(
  { tracking }: DeploymentContext,
  { endpoint }: Deployment,
  { mode, model }: { mode: 'add' | 'replace'; model: DeployableModel },
): Promise<void> {
  const arn = endpoint.EndpointArn
  if (!tracking || !arn) return
  const { version } = model
  if (mode === 'replace') await removeEndpointTag(tracking, arn, version ? [version] : [])
  if (version) await addEndpointTag(tracking, version, arn)
}

async function removeReplaced(
  context: DeploymentContext,
  { config }: Deployment,
  mode: 'add' | 'replace',
): Promise<void> {
  if (mode === 'replace') {
    for (const name of modelNames(config)) await deleteSageMakerModel(context, name)
  }
  const { EndpointConfigName } = config
  await context.aws.sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName }))
  context.report(`Removed the endpoint configuration ${EndpointConfigName}.`)
}
