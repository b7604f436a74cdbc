import type { Command } from 'commander'
import {
  addNamed,
  addTarget,
  type NamedFlags,
  settingsOf,
  type TargetFlags,
} from './deployments-options.ts'

/** Adds `deployments list` and `deployments get`. */
export function addDeploymentsShow(deployments: Command): void {
  addTarget(deployments.command('list'))
    .description('Print all endpoints of the region.')
    .action(list)
  addNamed(deployments.command('get'))
    .description('Print everything about an endpoint.')
    .action(get)
}

async function list(flags: TargetFlags): Promise<void> {
  const { context } = await settingsOf(flags)
  const { withAws } = await import('@millrace/sagemaker/deployments/deployment-context')
  const { listDeployments } = await import('@millrace/sagemaker/deployments/find-deployment')
  const found = await withAws(context, ({ aws }) => listDeployments(aws))
  process.stdout.write(`List of all deployments:\n${JSON.stringify(found, undefined, 2)}\n`)
}

async function get(flags: NamedFlags): Promise<void> {
  const { context } = await settingsOf(flags)
  const { withAws } = await import('@millrace/sagemaker/deployments/deployment-context')
  const { findEndpoint } = await import('@millrace/sagemaker/deployments/find-deployment')
  const found = await withAws(context, ({ aws }) => findEndpoint(aws, flags.name))
  if (!found) throw new Error(`There is no deployment '${flags.name}'.`)
  for (const [key, value] of Object.entries(found)) {
    if (key === '$metadata' || value === undefined) continue
    process.stdout.write(`${key}: ${typeof value === 'string' ? value : JSON.stringify(value)}\n`)
  }
}
