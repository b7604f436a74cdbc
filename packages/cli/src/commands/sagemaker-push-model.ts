import type { Command } from 'commander'
import { contextOf } from './deployments-options.ts'
import { addSageMakerModel, modelConfig, type SageMakerModelFlags } from './sagemaker-options.ts'

interface PushFlags extends SageMakerModelFlags {
  modelName: string
}

/** Adds `sagemaker push-model`. */
export function addPushModel(sagemaker: Command): void {
  addSageMakerModel(sagemaker.command('push-model'))
    .description('Make a SageMaker model of a model, and no endpoint.')
    .requiredOption('-n, --model-name <name>', 'name of the SageMaker model')
    .action(push)
}

async function push(flags: PushFlags): Promise<void> {
  const config = await modelConfig(flags)
  const { withAws } = await import('@millrace/sagemaker/deployments/deployment-context')
  const { pushModel } = await import('@millrace/sagemaker/deployments/push-model')
  const { modelName: name, modelUri, flavor } = flags
  await withAws(await contextOf(config.region_name), (aws) =>
    pushModel(aws, { name, modelUri, flavor, config }),
  )
  process.stdout.write(`The SageMaker model ${name} is created\n`)
}
