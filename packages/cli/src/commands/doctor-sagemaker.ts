import type { Command } from 'commander'
import type { Finding } from './doctor-sagemaker-checks.ts'

interface DoctorFlags {
  url?: string
  dataDir?: string
}

/** Adds `doctor sagemaker`; `doctor` too, if nobody has. */
export function addDoctorSageMaker(program: Command): void {
  const doctor =
    program.commands.find((command) => command.name() === 'doctor') ??
    program
      .command('doctor')
      .description('Find out why something does not work.')
      .helpOption('--help')
  doctor
    .command('sagemaker')
    .helpOption('--help')
    .allowExcessArguments(false)
    .description(
      'Check that scripts in this shell reach the local control plane and that jobs can run here. ' +
        'Changes nothing; ends with 1 when something is to be done.',
    )
    .option('--url <url>', 'where the control plane answers; default: AWS_ENDPOINT_URL')
    .option('--data-dir <folder>', 'that of the control plane')
    .action(diagnose)
}

async function diagnose(flags: DoctorFlags): Promise<void> {
  const { checkSageMaker } = await import('./doctor-sagemaker-checks.ts')
  const findings = await checkSageMaker({ ...flags, environment: process.env })
  process.stdout.write(findings.map(line).join(''))
  const problems = findings.filter(({ advice }) => advice !== undefined).length
  process.stdout.write(
    problems === 0 ? 'All is well.\n' : `${problems} of ${findings.length} need something done.\n`,
  )
  if (problems > 0) process.exitCode = 1
}

function line({ about, found, advice }: Finding): string {
  if (advice === undefined) return `ok       ${about}: ${found}\n`
  return `problem  ${about}: ${found}\n         ${advice}\n`
}
