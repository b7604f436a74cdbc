import type { Command } from 'commander'
import { contextOf } from './deployments-options.ts'

interface RegisterFlags {
  trainingJob: string
  name: string
  alias?: string
  regionName?: string
}

/** Adds `sagemaker register-as`. */
export function addRegisterAs(sagemaker: Command): void {
  sagemaker
    .command('register-as')
    .description(
      'Register the model of a training job as the next version of a model, at the server of ' +
        'MLFLOW_TRACKING_URI.',
    )
    .helpOption('--help')
    .argument('<name>', 'name of the registered model; made if there is none')
    .requiredOption('-j, --training-job <name>', 'a training job that has completed')
    .option('--alias <alias>', 'give the version this alias')
    .option('--region-name <region>', 'default: of your AWS configuration, else us-west-2')
    .action((name: string, flags: Omit<RegisterFlags, 'name'>) => register({ ...flags, name }))
}

async function register({ trainingJob, name, alias, regionName }: RegisterFlags): Promise<void> {
  const { withAws } = await import('@millrace/sagemaker/deployments/deployment-context')
  const { registerJob } = await import('@millrace/sagemaker/jobs/register-job')
  const made = await withAws(await contextOf(regionName), (aws) =>
    registerJob(aws, { trainingJob, registeredModel: name, alias }),
  )
  process.stdout.write(`models:/${made.name}/${made.version} is ${made.source}\n`)
}
