import type { Command } from 'commander'
import {
  abortOnSignal,
  addModelOptions,
  type ModelFlags,
  runtimeOf,
  trackingOf,
} from './models-options.ts'

/** Adds `models prepare-env`. */
export function addModelsPrepareEnv(models: Command): void {
  addModelOptions(models.command('prepare-env'))
    .description('Make the environment of a model, so that serving it starts quickly.')
    .action(prepareEnv)
}

async function prepareEnv(flags: ModelFlags): Promise<void> {
  const runtime = runtimeOf(flags, abortOnSignal())
  const { fetchModel, readFetchOptions } = await import('@millrace/models/fetch-model')
  const { prepareRuntime } = await import('@millrace/scoring/model-runtime')
  await using model = await fetchModel(flags.modelUri, trackingOf(process.env), {
    ...readFetchOptions(process.env),
    signal: runtime.signal,
  })
  const { python } = await prepareRuntime(model.directory, runtime)
  process.stdout.write(`${python}\n`)
}
