import type { Command } from 'commander'
import { addPushModel } from './sagemaker-push-model.ts'
import { addRegisterAs } from './sagemaker-register.ts'
import { addTransformJobs } from './sagemaker-transform.ts'

/** Adds the commands of `mlflow sagemaker` that deploy, and `sagemaker` too, if nobody has. */
export function addSageMakerCommands(program: Command): void {
  const sagemaker =
    program.commands.find((command) => command.name() === 'sagemaker') ??
    program
      .command('sagemaker')
      .description('Train and deploy models on SageMaker.')
      .helpOption('--help')
  addTransformJobs(sagemaker)
  addPushModel(sagemaker)
  addRegisterAs(sagemaker)
}
