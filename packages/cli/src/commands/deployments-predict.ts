import { readFile, writeFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { addTarget, settingsOf, type TargetFlags } from './deployments-options.ts'

interface PredictFlags extends TargetFlags {
  name: string
  inputPath: string
  outputPath?: string
  contentType?: 'json' | 'csv'
}

/** Adds `deployments predict` and `deployments explain`. */
export function addDeploymentsPredict(deployments: Command): void {
  addInput(deployments.command('predict'))
    .description('Have a deployment answer a file.')
    .action(predict)
  addInput(deployments.command('explain'))
    .description('Not available: SageMaker endpoints of MLflow models explain nothing.')
    .action(() => {
      throw new Error(
        'A deployment on SageMaker cannot explain its predictions: its model answers them and no more.',
      )
    })
}

function addInput(command: Command): Command {
  return addTarget(command)
    .requiredOption('--name <name>', 'name of the deployment')
    .requiredOption(
      '-I, --input-path <file>',
      'JSON as pandas writes it, a scoring request, or CSV with a header',
    )
    .option('-O, --output-path <file>', 'where the answer goes (default: standard output)')
    .addOption(
      new Option(
        '--content-type <type>',
        'what the input is (default: by the ending of its name)',
      ).choices(['json', 'csv']),
    )
}

async function predict(flags: PredictFlags): Promise<void> {
  const { context } = await settingsOf(flags)
  const text = await readFile(flags.inputPath, 'utf8').catch((error: unknown) => {
    const reason = error instanceof Error && 'code' in error ? error.code : error
    throw new Error(`The input '${flags.inputPath}' cannot be read (${reason}).`)
  })
  const { predictionInput } = await import('@millrace/sagemaker/deployments/prediction-input')
  const { invokeDeployment } = await import('@millrace/sagemaker/deployments/invoke-deployment')
  const { withAws } = await import('@millrace/sagemaker/deployments/deployment-context')
  const format = flags.contentType ?? (/\.csv$/i.test(flags.inputPath) ? 'csv' : 'json')
  const input = predictionInput(text, format)
  const answer = await withAws(context, (aws) => invokeDeployment(aws, flags.name, input))
  if (flags.outputPath === undefined) process.stdout.write(`${answer.trimEnd()}\n`)
  else await writeFile(flags.outputPath, answer)
}
