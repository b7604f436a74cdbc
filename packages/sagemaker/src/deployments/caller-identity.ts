import { GetRoleCommand } from '@aws-sdk/client-iam'
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts'
import { invalid } from '@millrace/api/errors'
import type { AwsClients } from '../access/aws-clients.ts'

/** Who deploys. */
export interface CallerIdentity {
  account: string
  arn: string
}

/** The account and ARN behind the credentials. */
export async function callerIdentity({ sts }: AwsClients): Promise<CallerIdentity> {
  const { Account = '', Arn = '' } = await sts.send(new GetCallerIdentityCommand({}))
  return { account: Account, arn: Arn }
}

/**
 * The role that the caller has assumed, which models run as unless one is named (MLflow 3.17
 * `_get_assumed_role_arn`).
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for users, who have none
 */
export async function callerRole({ iam }: AwsClients, { arn }: CallerIdentity): Promise<string> {
  const [, RoleName] = /:assumed-role\/([^/]+)\//.exec(arn) ?? []
  if (!RoleName) {
    throw invalid(
      `You are ${arn}, which is no role that SageMaker could take on: name one with ` +
        '-C execution_role_arn=ARN.',
    )
  }
  const { Role } = await iam.send(new GetRoleCommand({ RoleName }))
  if (!Role?.Arn) throw invalid(`IAM gives no ARN for the role ${RoleName}.`)
  return Role.Arn
}
