import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { addAwsCommands } from './commands/aws-print-policy.ts'
import { addBackupCommand } from './commands/backup.ts'
import { addDbCommands } from './commands/db-commands.ts'
import { addDeploymentsCommands } from './commands/deployments-commands.ts'
import { addDoctorAws } from './commands/doctor-aws.ts'
import { addDoctorSageMaker } from './commands/doctor-sagemaker.ts'
import { addEnvCommand } from './commands/env.ts'
import { addGcCommand } from './commands/gc.ts'
import { addImagesCommands } from './commands/images-commands.ts'
import { addBuildAndPushContainer } from './commands/images-container.ts'
import { parseEnvFile, unquoted } from './commands/images-env-file.ts'
import { addModelsCommands } from './commands/models-commands.ts'
import { addRestoreCommand } from './commands/restore.ts'
import { addRunCommand } from './commands/run.ts'
import { addTrainCommand } from './commands/run-training.ts'
import { addSageMakerCommands } from './commands/sagemaker-commands.ts'
import { addSageMakerLocalCommand } from './commands/sagemaker-local.ts'
import { addServerCommand } from './commands/server.ts'

const VERSION = '0.1.0'

const program = new Command('millrace')
  .description('The ML lifecycle platform that speaks MLflow and SageMaker.')
  .version(VERSION, '--version')
  .helpOption('--help')
  .option('--env-file <path>', 'read environment variables from a file first')
  .showSuggestionAfterError()
  .exitOverride()

program.hook('preAction', () => readEnvironment(program.opts<{ envFile?: string }>().envFile))

addServerCommand(program, 'server')
addServerCommand(program, 'ui')
addDbCommands(program)
addModelsCommands(program)
addRunCommand(program)
addTrainCommand(program)
addImagesCommands(program)
addAwsCommands(program)
addDoctorAws(program)
addDoctorSageMaker(program)
addSageMakerLocalCommand(program)
addEnvCommand(program)
addBuildAndPushContainer(program)
addSageMakerCommands(program)
addDeploymentsCommands(program)
addGcCommand(program)
addBackupCommand(program)
addRestoreCommand(program)

/** What is set already wins over the file, which `docker run --env-file` reads in the same way. */
function readEnvironment(path: string | undefined): void {
  if (path === undefined) return
  const values = parseEnvFile(textOf(path), process.env)
  for (const [name, value] of Object.entries(values)) process.env[name] ??= unquoted(value)
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? error.code : error
    throw new Error(`--env-file '${path}' cannot be read (${reason}).`)
  }
}

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode
  else {
    process.stderr.write(`millrace: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
