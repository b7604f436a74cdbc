import { Command, CommanderError } from 'commander'
import { addAwsCommands } from './commands/aws-print-policy.ts'
import { addDoctorAws } from './commands/doctor-aws.ts'
import { addEnvCommand } from './commands/env.ts'
import { addGcCommand } from './commands/gc.ts'
import { addImagesCommands } from './commands/images-commands.ts'
import { addBuildAndPushContainer } from './commands/images-container.ts'
import { addModelsCommands } from './commands/models-commands.ts'
import { addRunCommand } from './commands/run.ts'
import { addTrainCommand } from './commands/run-training.ts'
import { addSageMakerLocalCommand } from './commands/sagemaker-local.ts'
import { addServerCommand } from './commands/server.ts'

const VERSION = '0.1.0'

const program = new Command('millrace')
  .description('The ML lifecycle platform that speaks MLflow and SageMaker.')
  .version(VERSION, '--version')
  .helpOption('--help')
  .showSuggestionAfterError()
  .exitOverride()

addServerCommand(program, 'server')
addServerCommand(program, 'ui')
addModelsCommands(program)
addRunCommand(program)
addTrainCommand(program)
addImagesCommands(program)
addAwsCommands(program)
addDoctorAws(program)
addSageMakerLocalCommand(program)
addEnvCommand(program)
addBuildAndPushContainer(program)
addGcCommand(program)

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode
  else {
    process.stderr.write(`millrace: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
