import { callerIdentity } from './caller-identity.ts'
import { openDeployableModel } from './deployable-model.ts'
import type { DeploymentConfig } from './deployment-config.ts'
import type { DeploymentContext } from './deployment-context.ts'
import { resolveSettings } from './deployment-settings.ts'
import { nameProblems, preflight, refuseProblems } from './preflight.ts'
import { addSageMakerModel, findSageMakerModel } from './sagemaker-model.ts'

/** A SageMaker model to make. */
export interface PushRequest {
  name: string
  modelUri: string
  flavor: string | undefined
  config: DeploymentConfig
}

/** Makes a SageMaker model of an MLflow model, and no endpoint (MLflow 3.17 `push_model_to_sagemaker`). */
export async function pushModel(context: DeploymentContext, request: PushRequest): Promise<void> {
  const { aws, tracking } = context
  const { name } = request
  const problems = nameProblems(name)
  if (problems.length === 0 && (await findSageMakerModel(aws, name))) {
    problems.push(
      `You are attempting to create a Sagemaker model with name: ${name}. However, a model with the ` +
        'same name already exists.',
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
  const settings = await resolveSettings(context, caller, request.config, undefined)
  await preflight(context, caller, model, settings, [])
  await using undo = new AsyncDisposableStack()
  await addSageMakerModel(context, undo, name, model, settings)
  undo.move()
}
