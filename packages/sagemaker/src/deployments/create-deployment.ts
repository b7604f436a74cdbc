import { CreateEndpointCommand, DeleteEndpointCommand } from '@aws-sdk/client-sagemaker'
import { ApiError } from '@millrace/api/errors'
import { awaitEndpoint, awaitEndpointGone, timedOut } from './await-endpoint.ts'
import { callerIdentity } from './caller-identity.ts'
import { openDeployableModel } from './deployable-model.ts'
import type { DeploymentConfig } from './deployment-config.ts'
import type { DeploymentContext } from './deployment-context.ts'
import { APP_TAG, tagList, uniqueName } from './deployment-names.ts'
import { capacityText, type DeploymentSettings, resolveSettings } from './deployment-settings.ts'
import { addEndpointConfig } from './endpoint-config.ts'
import { findEndpoint } from './find-deployment.ts'
import { addEndpointTag } from './model-version.ts'
import { nameProblems, preflight, refuseProblems } from './preflight.ts'
import { addSageMakerModel, removed } from './sagemaker-model.ts'

/** A model to be served under a name. */
export interface DeploymentRequest {
  name: string
  modelUri: string
  flavor?: string | undefined
  config: DeploymentConfig
  /** Check and say what would be done, and do nothing. */
  isPlan?: boolean | undefined
}

/** What has been deployed. */
export interface DeploymentOutcome {
  name: string
  flavor: string
  isPlan: boolean
}

const TIMEOUT_SECONDS = 1_200
const REMOVAL_SECONDS = 300

/**
 * Serves a model at a new endpoint: upload, model, configuration, endpoint. When any step fails, what
 * the earlier ones made is removed.
 *
 * @throws ApiError with what is wrong, in SageMaker's words and with the container's last lines when
 * the endpoint has failed
 */
export async function createDeployment(
  context: DeploymentContext,
  request: DeploymentRequest,
): Promise<DeploymentOutcome> {
  const { aws, tracking, report } = context
  const { name, config } = request
  refuseProblems(await createProblems(context, request))
  await using model = await openDeployableModel({
    uri: request.modelUri,
    flavor: request.flavor,
    tracking,
    s3: aws.s3,
  })
  const caller = await callerIdentity(aws)
  const settings = await resolveSettings(context, caller, config, undefined)
  await preflight(context, caller, model, settings, [])
  for (const line of planLines(context, request, settings)) report(line)
  if (request.isPlan) return { name, flavor: model.flavor, isPlan: true }

  await using undo = new AsyncDisposableStack()
  const modelName = uniqueName(name, 'model')
  await addSageMakerModel(context, undo, modelName, model, settings)
  const configName = uniqueName(name, 'config')
  const variant = {
    VariantName: config.variant_name || modelName,
    ModelName: modelName,
    InitialVariantWeight: 1,
    ...settings.capacity,
  }
  await addEndpointConfig(context, undo, {
    deployment: name,
    name: configName,
    variants: [variant],
    settings,
  })
  const endpointArn = await addEndpoint(context, undo, request, configName)
  if (config.synchronous !== false) {
    const timeoutSeconds = config.timeout_seconds ?? TIMEOUT_SECONDS
    const end = await awaitEndpoint(context, name, configName, timeoutSeconds)
    if (end.kind === 'timed out') {
      undo.move()
      throw timedOut(name, end.status, timeoutSeconds)
    }
    if (end.kind !== 'in service') {
      if (config.archive) undo.move()
      throw new ApiError('INVALID_STATE', `The deployment '${name}' has failed: ${end.why}`)
    }
  }
  undo.move()
  if (tracking && model.version) await addEndpointTag(tracking, model.version, endpointArn)
  return { name, flavor: model.flavor, isPlan: false }
}

async function createProblems(
  { aws }: DeploymentContext,
  { name, config }: DeploymentRequest,
): Promise<string[]> {
  const problems = nameProblems(name)
  if (config.mode !== undefined && config.mode !== 'create') {
    problems.push(`mode=${config.mode} is for update; create has mode=create.`)
  }
  if (problems.length === 0 && (await findEndpoint(aws, name))) {
    problems.push(
      `The deployment '${name}' already exists in ${aws.region}: ` +
        '`millrace deployments update` changes it, `delete` removes it.',
    )
  }
  return problems
}

function planLines(
  { aws }: DeploymentContext,
  { name, modelUri }: DeploymentRequest,
  settings: DeploymentSettings,
): string[] {
  return [
    `Deployment ${name} in ${aws.region}: ${modelUri} on ${capacityText(settings.capacity)}`,
    `  image ${settings.image}`,
    `  role ${settings.roleArn}`,
    `  bucket ${settings.bucket}`,
  ]
}

async function addEndpoint(
  context: DeploymentContext,
  undo: AsyncDisposableStack,
  { name, config }: DeploymentRequest,
  EndpointConfigName: string,
): Promise<string> {
  const { sagemaker } = context.aws
  const { EndpointArn = '' } = await sagemaker.send(
    new CreateEndpointCommand({
      EndpointName: name,
      EndpointConfigName,
      Tags: tagList({ [APP_TAG]: name, ...config.tags }),
    }),
  )
  undo.defer(() => removed(context, `the endpoint ${name}`, deleteEndpoint(context, name)))
  context.report(`Created the endpoint ${EndpointArn}.`)
  return EndpointArn
}

async function deleteEndpoint(context: DeploymentContext, EndpointName: string): Promise<void> {
  await context.aws.sagemaker.send(new DeleteEndpointCommand({ EndpointName }))
  await awaitEndpointGone(context, EndpointName, REMOVAL_SECONDS)
}
