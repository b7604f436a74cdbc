import type { Command } from 'commander'
import { addDeploymentsCreate } from './deployments-create.ts'
import { addDeploymentsDelete } from './deployments-delete.ts'
import { addDeploymentsHelp } from './deployments-help.ts'
import { addDeploymentsPredict } from './deployments-predict.ts'
import { addDeploymentsRunLocal } from './deployments-run-local.ts'
import { addDeploymentsShow } from './deployments-show.ts'

/** Adds `deployments`, with the commands of `mlflow deployments` for SageMaker. */
export function addDeploymentsCommands(program: Command): void {
  const deployments = program
    .command('deployments')
    .description('Serve models at endpoints of SageMaker, in AWS or on this machine.')
    .helpOption('--help')
    .helpCommand(false)
  addDeploymentsCreate(deployments)
  addDeploymentsDelete(deployments)
  addDeploymentsShow(deployments)
  addDeploymentsPredict(deployments)
  addDeploymentsRunLocal(deployments)
  addDeploymentsHelp(deployments)
}
