import type { Command } from 'commander'
import { addScopeOptions, completed, policyOf, type ScopeFlags } from './aws-print-policy.ts'

interface DoctorFlags extends ScopeFlags {
  policy: string[]
  principal?: string
  endpointUrl?: string
}

/** Adds `doctor aws`; `doctor` too, if nobody has. */
export function addDoctorAws(program: Command): void {
  const doctor =
    program.commands.find((command) => command.name() === 'doctor') ??
    program
      .command('doctor')
      .description('Find out why something does not work.')
      .helpOption('--help')
  const collect = (value: string, before: string[]) => [...before, value]
  addScopeOptions(doctor.command('aws'))
    .helpOption('--help')
    .description(
      'Ask IAM, without changing anything, whether somebody may do what a policy of ' +
        '`millrace aws print-policy` lists, and print what is missing.',
    )
    .option('--policy <name>', 'deploy unless given; may be given again', collect, [])
    .option(
      '--principal <arn>',
      'a role or user; default: who calls, and for the policy job the role of jobs',
    )
    .option('--endpoint-url <url>', 'another IAM and STS, such as the local plane')
    .action(diagnose)
}

async function diagnose(flags: DoctorFlags): Promise<void> {
  const { principalOf, simulateAccess, whoCalls } = await import(
    '@millrace/sagemaker/access/simulate-access'
  )
  const { jobRoleOf } = await import('@millrace/sagemaker/access/job-policy')
  const caller = await whoCalls(flags.endpointUrl)
  process.stdout.write(`You are ${caller.arn} in ${caller.region}.\n`)
  const { account, partition, region } = caller
  const scope = completed({ account, partition, region, ...flags })
  let missing = 0
  for (const name of flags.policy.length > 0 ? flags.policy : ['deploy']) {
    const policy = await policyOf(name, scope)
    const asked = flags.principal ?? (name === 'job' ? jobRoleOf(scope) : caller.arn)
    const principal = principalOf(asked)
    const found = await simulateAccess(policy, principal, flags.endpointUrl)
    const denied = found.filter(({ decision }) => decision !== 'allowed')
    missing += denied.length
    const allowed = found.length - denied.length
    process.stdout.write(
      `${name}: ${allowed} of ${found.length} actions allowed for ${principal}\n`,
    )
    for (const { action, resource, decision } of denied) {
      const why = decision === 'explicitDeny' ? 'a policy forbids it' : 'no policy allows it'
      process.stdout.write(`  ${action} on ${resource}: ${why}\n`)
    }
  }
  if (missing === 0) return
  process.stdout.write(`millrace aws print-policy prints a policy with what is missing.\n`)
  process.exitCode = 1
}
