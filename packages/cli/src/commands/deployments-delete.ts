import type { Command } from 'commander'
import { addNamed, type NamedFlags, settingsOf } from './deployments-options.ts'

/** Adds `deployments delete`. */
export function addDeploymentsDelete(deployments: Command): void {
  addNamed(deployments.command('delete'))
    .description(
      'Remove an endpoint with its configuration, models and uploads (-C archive=True keeps those).',
    )
    .action(remove)
}

async function remove(flags: NamedFlags): Promise<void> {
  const { config, context } = await settingsOf(flags)
  const { withAws } = await import('@millrace/sagemaker/deployments/deployment-context')
  const { deleteDeployment } = await import('@millrace/sagemaker/deployments/delete-deployment')
  await withAws(context, (aws) => deleteDeployment(aws, flags.name, config))
  process.stdout.write(`Deployment ${flags.name} is deleted\n`)
}
