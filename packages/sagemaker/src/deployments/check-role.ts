import { GetRoleCommand, SimulatePrincipalPolicyCommand } from '@aws-sdk/client-iam'
import type { CallerIdentity } from './caller-identity.ts'
import type { DeploymentContext } from './deployment-context.ts'

/** What was found out about a role, and what could not be. */
export interface RoleFindings {
  problems: string[]
  unknown: string[]
}

/**
 * Whether SageMaker can take on a role and, as that role, read model data in a bucket. What the caller
 * may not ask IAM, and roles of other accounts, are told as unknown.
 */
export async function checkRole(
  { aws }: DeploymentContext,
  caller: CallerIdentity,
  roleArn: string,
  bucket: string,
): Promise<RoleFindings> {
  const [, partition, account, path] = /^arn:([\w-]+):iam::(\d{12}):role\/(.+)$/.exec(roleArn) ?? []
  if (!partition || !path) {
    return { problems: [`'${roleArn}' is not the ARN of a role.`], unknown: [] }
  }
  if (account !== caller.account) {
    return { problems: [], unknown: [`the role ${roleArn}, which is of another account`] }
  }
  const RoleName = path.slice(path.lastIndexOf('/') + 1)
  const findings: RoleFindings = { problems: [], unknown: [] }
  try {
    const { Role } = await aws.iam.send(new GetRoleCommand({ RoleName }))
    if (!trustsSageMaker(Role?.AssumeRolePolicyDocument ?? '')) {
      findings.problems.push(
        `The role ${roleArn} does not let SageMaker take it on: its trust policy must allow ` +
          'sts:AssumeRole to sagemaker.amazonaws.com.',
      )
    }
  } catch (error) {
    if (error instanceof Error && error.name === 'NoSuchEntityException') {
      return { problems: [`There is no role ${roleArn}.`], unknown: [] }
    }
    findings.unknown.push(`whether SageMaker may take on ${roleArn} (${nameOf(error)})`)
  }
  try {
    const objects = `arn:${partition}:s3:::${bucket}/*`
    const { EvaluationResults = [] } = await aws.iam.send(
      new SimulatePrincipalPolicyCommand({
        PolicySourceArn: roleArn,
        ActionNames: ['s3:GetObject'],
        ResourceArns: [objects],
      }),
    )
    if (EvaluationResults.some(({ EvalDecision }) => EvalDecision !== 'allowed')) {
      findings.problems.push(
        `The role ${roleArn} may not read the model data: it needs s3:GetObject on ${objects}.`,
      )
    }
  } catch (error) {
    findings.unknown.push(`whether ${roleArn} may read the model data (${nameOf(error)})`)
  }
  return findings
}

/** Whether a trust policy, as IAM gives it in URL encoding, names SageMaker. */
export function trustsSageMaker(document: string): boolean {
  const policy = JSON.parse(decodeURIComponent(document) || '{}') as {
    Statement?: Statement | Statement[]
  }
  return [policy.Statement ?? []].flat().some(({ Effect, Principal }) => {
    const services = typeof Principal === 'object' ? [Principal.Service ?? []].flat() : []
    return Effect === 'Allow' && services.includes('sagemaker.amazonaws.com')
  })
}

interface Statement {
  Effect?: string
  Principal?: string | { Service?: string | string[] }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : String(error)
}
