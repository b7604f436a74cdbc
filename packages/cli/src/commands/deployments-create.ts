import type { Command } from 'commander'
import { addModel, addNamed, type NamedFlags, settingsOf } from './deployments-options.ts'

interface DeployFlags extends NamedFlags {
  modelUri: string
  flavor?: string
  plan?: true
}

/** Adds `deployments create` and `deployments update`. */
export function addDeploymentsCreate(deployments: Command): void {
  addModel(addNamed(deployments.command('create')))
    .description('Serve a model at a new endpoint.')
    .option('--plan', 'check everything and say what would be done, and do nothing')
    .action(create)
  addModel(addNamed(deployments.command('update')))
    .description(
      'Serve another model at an endpoint, in place of its model or beside it (-C mode=add).',
    )
    .option('--plan', 'check everything and say what would change, and change nothing')
    .action(update)
}

async function create({ plan, ...flags }: DeployFlags): Promise<void> {
  const { config, context } = await settingsOf(flags)
  const { withAws } = await import('@millrace/sagemaker/deployments/deployment-context')
  const { createDeployment } = await import('@millrace/sagemaker/deployments/create-deployment')
  const { name, flavor, isPlan } = await withAws(context, (aws) =>
    createDeployment(aws, { ...flags, config, isPlan: plan }),
  )
  process.stdout.write(
    isPlan ? 'Nothing was done.\n' : `\n${flavor} deployment ${name} is created\n`,
  )
}

async function update({ plan, ...flags }: DeployFlags): Promise<void> {
  const { config, context } = await settingsOf(flags)
  const { withAws } = await import('@millrace/sagemaker/deployments/deployment-context')
  const { updateDeployment } = await import('@millrace/sagemaker/deployments/update-deployment')
  const { name, flavor, isPlan } = await withAws(context, (aws) =>
    updateDeployment(aws, { ...flags, config, isPlan: plan }),
  )
  process.stdout.write(
    isPlan ? 'Nothing was changed.\n' : `Deployment ${name} is updated (with flavor ${flavor})\n`,
  )
}
