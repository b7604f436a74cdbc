import { readFile, writeFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { type Command, Option } from 'commander'
import {
  abortOnSignal,
  addModelOptions,
  type ModelFlags,
  modelRuntime,
  runtimeOf,
  trackingOf,
} from './models-options.ts'

interface PredictFlags extends ModelFlags {
  inputPath?: string
  outputPath?: string
  contentType: 'json' | 'csv'
}

/** Adds `models predict`. */
export function addModelsPredict(models: Command): void {
  addModelOptions(models.command('predict'))
    .description('Have a model answer a file, or what comes in, as one request.')
    .addOption(modelRuntime())
    .option('-i, --input-path <file>', 'request to answer (default: standard input)')
    .option('-o, --output-path <file>', 'where the answer goes (default: standard output)')
    .addOption(
      new Option('-t, --content-type <type>', 'what the input is')
        .choices(['json', 'csv'])
        .default('json'),
    )
    .action(predict)
}

async function predict(flags: PredictFlags): Promise<void> {
  const runtime = runtimeOf(flags, abortOnSignal())
  const input = flags.inputPath ? await readFile(flags.inputPath) : await buffer(process.stdin)
  const { predictOnce } = await import('@millrace/scoring/predict-once')
  const answer = await predictOnce({
    ...runtime,
    modelUri: flags.modelUri,
    tracking: trackingOf(process.env),
    contentType: flags.contentType === 'csv' ? 'text/csv' : 'application/json',
    input,
    onOutput: (chunk) => process.stderr.write(chunk),
  })
  if (flags.outputPath) await writeFile(flags.outputPath, answer)
  else process.stdout.write(answer)
}
