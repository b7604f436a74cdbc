import type { AccessScope, PolicyName } from '@millrace/sagemaker/access/access-policies'
import type { Command } from 'commander'

/** What the policies of a stack are about, as flags say it. */
export interface ScopeFlags {
  project: string
  bucket?: string
  account?: string
  region?: string
  partition?: string
  key?: string
  databaseSecret?: string
  jobRole?: string
}

/** Adds `aws` and its commands. */
export function addAwsCommands(program: Command): void {
  const aws = program
    .command('aws')
    .description('What a deployment to AWS needs.')
    .helpOption('--help')
  addScopeOptions(aws.command('print-policy <name>'))
    .helpOption('--help')
    .description(
      'Print an IAM policy with no more than its owner needs: task, execution, push, deploy, ' +
        'cloudformation, cloudformation-network, sagemaker or job. What the flags leave out stands there in capitals, to be filled in.',
    )
    .action(async (name: string, flags: ScopeFlags) => {
      const policy = await policyOf(name, completed(flags))
      process.stdout.write(`${JSON.stringify(policy, null, 2)}\n`)
    })
}

/** Adds the flags that say which stack is meant. */
export function addScopeOptions(command: Command): Command {
  return command
    .option('--project <name>', 'ProjectName of the stack', 'mlflow')
    .option('--bucket <name>', "the stack's output BucketName")
    .option('--account <id>', 'twelve digits')
    .option('--region <name>', 'such as eu-central-1; default: AWS_REGION')
    .option('--partition <name>', 'aws, aws-cn or aws-us-gov')
    .option('--key <arn>', "the stack's key")
    .option('--database-secret <arn>', "the stack's output DatabaseSecretArn")
    .option('--job-role <arn>', "the stack's output JobRoleArn; default: PROJECT-sagemaker")
}

/** The scope of the flags; what is missing is written in capitals, for people to fill in. */
export function completed(flags: ScopeFlags): AccessScope {
  const { AWS_REGION, AWS_DEFAULT_REGION } = process.env
  return {
    partition: flags.partition ?? 'aws',
    region: flags.region ?? AWS_REGION ?? AWS_DEFAULT_REGION ?? 'REGION',
    account: flags.account ?? 'ACCOUNT',
    project: flags.project,
    bucket: flags.bucket ?? 'BUCKET',
    key: flags.key,
    databaseSecret: flags.databaseSecret,
    jobRole: flags.jobRole,
  }
}

/**
 * The policy of a name.
 *
 * @throws Error with the names there are
 */
export async function policyOf(name: string, scope: AccessScope) {
  const { accessPolicy, POLICIES } = await import('@millrace/sagemaker/access/access-policies')
  const names = Object.keys(POLICIES).filter((known): known is PolicyName => known in POLICIES)
  const known = names.find((one) => one === name)
  if (!known) {
    const owners = names.map((one) => `${one} (${POLICIES[one]})`).join(', ')
    throw new Error(`There is no policy '${name}'. There are ${owners}.`)
  }
  return accessPolicy(known, scope)
}
