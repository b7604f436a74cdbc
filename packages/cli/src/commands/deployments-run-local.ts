import { once } from 'node:events'
import type { Command } from 'commander'
import { addModel, addNamed, type NamedFlags } from './deployments-options.ts'
import {
  abortOnSignal,
  environmentManager,
  type ModelFlags,
  runtimeOf,
  trackingOf,
  wholeNumber,
} from './models-options.ts'

interface RunLocalFlags extends NamedFlags, Pick<ModelFlags, 'modelUri' | 'envManager'> {
  flavor?: string
}

const FLAVOR = 'python_function'
const PORT = 5_000
const TIMEOUT_MS = 60_000
const BODY_BYTES_MAX = 100 * 2 ** 20
const QUEUE_MAX = 1_000

/** Adds `deployments run-local`. */
export function addDeploymentsRunLocal(deployments: Command): void {
  addModel(addNamed(deployments.command('run-local')))
    .addOption(environmentManager())
    .description(
      'Answer as the endpoint would, on this machine at -C port=5000, with no container: ' +
        "the model's own environment is made as `millrace models serve` does.",
    )
    .action(runLocal)
}

async function runLocal(flags: RunLocalFlags): Promise<void> {
  const { port, image } = localSettings(flags.config)
  if (flags.flavor !== undefined && flags.flavor !== FLAVOR) {
    throw new Error(`The flavor ${flags.flavor} cannot be served, only ${FLAVOR}.`)
  }
  if (image !== undefined) {
    process.stderr.write(`The image ${image} is not started: the model is served without one.\n`)
  }
  const signal = abortOnSignal()
  const tracking = trackingOf(process.env)
  const runtime = runtimeOf({ ...flags, conda: true }, signal)
  const { serveModel } = await import('@millrace/scoring/serve-model')
  const server = await serveModel({
    ...runtime,
    modelUri: flags.modelUri,
    tracking,
    host: '127.0.0.1',
    port,
    workers: 1,
    timeoutMs: TIMEOUT_MS,
    bodyBytesMax: BODY_BYTES_MAX,
    queueMax: QUEUE_MAX,
    onOutput: (chunk) => process.stderr.write(chunk),
  })
  process.stdout.write(
    `${flags.name} answers at ${server.url}/ping and ${server.url}/invocations. Ctrl+C stops it.\n`,
  )
  if (!signal.aborted) await once(signal, 'abort')
  await server.close()
}

function localSettings(pairs: string[]): { port: number; image?: string } {
  const settings: { port: number; image?: string } = { port: PORT }
  for (const pair of pairs) {
    const [, key, value = ''] = /^(image|port)=(.*)$/s.exec(pair) ?? []
    if (key === undefined) {
      throw new Error(`run-local knows -C port=NUMBER and -C image=NAME, not '${pair}'.`)
    }
    if (key === 'port') settings.port = wholeNumber(0, 65_535)(value)
    else settings.image = value
  }
  return settings
}
