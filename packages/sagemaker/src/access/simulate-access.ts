import { IAMClient, SimulatePrincipalPolicyCommand } from '@aws-sdk/client-iam'
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { ApiError } from '@millrace/api/errors'
import type { AccessPolicy } from './access-policies.ts'
import { toAwsAdvice } from './aws-advice.ts'

/** Who calls, and where. */
export interface AwsCaller {
  account: string
  arn: string
  partition: string
  region: string
}

/** What IAM says of one action. */
export interface SimulatedAction {
  sid: string
  action: string
  resource: string
  /** `allowed`, or why not: nothing allows it, or something forbids it. */
  decision: 'allowed' | 'implicitDeny' | 'explicitDeny'
}

/**
 * Who the credentials of the environment are, by STS.
 *
 * @throws ApiError saying how to get credentials or a region
 */
export async function whoCalls(endpoint?: string): Promise<AwsCaller> {
  const sts = new STSClient(endpoint ? { endpoint } : {})
  try {
    const region = await sts.config.region()
    const { Account, Arn } = await sts.send(new GetCallerIdentityCommand({}))
    if (!Account || !Arn) throw new ApiError('INVALID_STATE', 'STS did not say who calls')
    return { account: Account, arn: Arn, partition: Arn.split(':')[1] ?? 'aws', region }
  } catch (error) {
    throw toAwsAdvice(error, 'sts:GetCallerIdentity')
  } finally {
    sts.destroy()
  }
}

/** The role behind the session of an assumed role, which is what IAM simulates; others as they are. */
export function principalOf(arn: string): string {
  const session = /^arn:([^:]+):sts::(\d{12}):assumed-role\/([^/]+)\/.+$/.exec(arn)
  return session ? `arn:${session[1]}:iam::${session[2]}:role/${session[3]}` : arn
}

/**
 * Asks IAM what a principal may do of a policy, action by action, without doing it
 * (`SimulatePrincipalPolicy`). Policies of buckets and keys, and those of the organisation, have
 * their own say.
 *
 * @throws ApiError when the caller may not ask, or the principal is the root user, which has no policy
 */
export async function simulateAccess(
  { Statement }: AccessPolicy,
  principal: string,
  endpoint?: string,
): Promise<SimulatedAction[]> {
  if (principal.endsWith(':root')) {
    throw new ApiError(
      'INVALID_STATE',
      `${principal} is the root user, whom no policy limits: sign in as a role or a user`,
    )
  }
  const iam = new IAMClient(endpoint ? { endpoint } : {})
  const found: SimulatedAction[] = []
  try {
    for (const { Sid, Action, Resource, Condition } of Statement) {
      const context = Object.values(Condition ?? {}).flatMap((keys) => Object.entries(keys))
      const { EvaluationResults = [] } = await iam.send(
        new SimulatePrincipalPolicyCommand({
          PolicySourceArn: principal,
          ActionNames: Action,
          ResourceArns: Resource,
          ContextEntries: context.map(([name, value]) => ({
            ContextKeyName: name,
            ContextKeyType: 'string',
            ContextKeyValues: [value].flat().slice(0, 1),
          })),
        }),
      )
      for (const {
        EvalActionName = '',
        EvalResourceName = '*',
        EvalDecision,
      } of EvaluationResults) {
        found.push({
          sid: Sid,
          action: EvalActionName,
          resource: EvalResourceName,
          decision: EvalDecision ?? 'implicitDeny',
        })
      }
    }
    return found
  } catch (error) {
    throw toAwsAdvice(error, 'iam:SimulatePrincipalPolicy')
  } finally {
    iam.destroy()
  }
}
