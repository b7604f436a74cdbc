import { invalid } from '@millrace/api/errors'
import type { CallerIdentity } from './caller-identity.ts'
import { checkRole } from './check-role.ts'
import type { DeployableModel } from './deployable-model.ts'
import type { DeploymentContext } from './deployment-context.ts'
import { isResourceName } from './deployment-names.ts'
import type { DeploymentSettings } from './deployment-settings.ts'
import { imageProblem } from './serving-image.ts'

/** Refuses a name that SageMaker would. */
export function nameProblems(name: string): string[] {
  if (isResourceName(name)) return []
  return [
    `The name '${name}' is not one that SageMaker takes: at most 63 letters, digits and hyphens, no ` +
      'hyphen at either end.',
  ]
}

/**
 * Finds what would make a deployment fail, before anything is made.
 *
 * @param problems what is known to be wrong already
 * @throws ApiError INVALID_PARAMETER_VALUE with a sentence for each problem
 */
export async function preflight(
  context: DeploymentContext,
  caller: CallerIdentity,
  model: DeployableModel,
  settings: DeploymentSettings,
  problems: readonly string[],
): Promise<void> {
  const found = [...problems, ...settingProblems(settings)]
  const role = await checkRole(context, caller, settings.roleArn, settings.bucket)
  found.push(...role.problems)
  const unknown = [...role.unknown]
  try {
    const problem = await imageProblem(context, settings.image)
    if (problem) found.push(problem)
  } catch (error) {
    const isRefused =
      error instanceof Error && 'code' in error && error.code === 'PERMISSION_DENIED'
    if (!isRefused) throw error
    unknown.push(error.message)
  }
  if (unknown.length > 0) context.report(`Not checked: ${unknown.join('; ')}.`)
  if (!model.mlmodel.signature) {
    context.report(`The model ${model.uri} has no signature: what it is sent is not checked.`)
  }
  refuseProblems(found)
}

/** @throws ApiError INVALID_PARAMETER_VALUE with a sentence for each problem, if there are any */
export function refuseProblems(problems: readonly string[]): void {
  const [first, ...others] = problems
  if (first === undefined) return
  if (others.length === 0) throw invalid(first)
  throw invalid(`There are ${problems.length} problems:\n- ${problems.join('\n- ')}`)
}

function settingProblems({ capacity, tags, env }: DeploymentSettings): string[] {
  const problems: string[] = []
  const { InstanceType, InitialInstanceCount } = capacity
  if (InstanceType !== undefined && !/^ml\.[a-z0-9-]+\.[a-z0-9-]+$/.test(InstanceType)) {
    problems.push(`'${InstanceType}' is not a type of instance, such as ml.m5.large.`)
  }
  if (InitialInstanceCount === 0) problems.push('instance_count is 0: a variant needs an instance.')
  if (Object.hasOwn(tags, 'app_name')) problems.push("Duplicate tag provided for 'app_name'")
  for (const name of Object.keys(env)) {
    if (!/^[a-zA-Z_]\w{0,1023}$/.test(name)) {
      problems.push(`'${name}' in env is not the name of a variable.`)
    }
  }
  return problems
}
