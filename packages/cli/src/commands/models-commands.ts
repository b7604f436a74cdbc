import type { Command } from 'commander'
import { addModelsPredict } from './models-predict.ts'
import { addModelsPrepareEnv } from './models-prepare-env.ts'
import { addModelsServe } from './models-serve.ts'

/** Adds `models` and its commands. */
export function addModelsCommands(program: Command): void {
  const models = program
    .command('models')
    .description('Serve models, and ask them.')
    .helpOption('--help')
  addModelsServe(models)
  addModelsPredict(models)
  addModelsPrepareEnv(models)
}
