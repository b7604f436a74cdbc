import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { parseEnvFile } from './images-env-file.ts'
import { abortOnSignal } from './models-options.ts'

interface RunFlags {
  envFile?: string
  env: string[]
  volume: string[]
  root?: string
}

/** Adds `images run`. */
export function addImagesRun(images: Command): void {
  const collect = (value: string, before: string[]) => [...before, value]
  images
    .command('run <layout> [args...]')
    .helpOption('--help')
    .description(
      'Start an image of an OCI layout without a container engine: in namespaces of its own, with ' +
        'a read-only root, as the user that the image names. It shares the network of this machine. ' +
        'For trying images out; Linux, as root.',
    )
    .option('--env-file <file>', 'NAME=VALUE lines, as for docker run')
    .option('-e, --env <NAME=VALUE>', 'a variable; may be given again', collect, [])
    .option(
      '-v, --volume <FROM:TO>',
      'a directory of this machine; may be given again',
      collect,
      [],
    )
    .option('--root <dir>', 'where the image is unpacked and stays for the next start')
    .action(async (layout: string, args: string[], _flags: RunFlags, command: Command) => {
      // The program has a flag of that name too, and is given it first.
      const flags = command.optsWithGlobals<RunFlags>()
      const text = flags.envFile ? await readFile(flags.envFile, 'utf8') : ''
      const given = parseEnvFile([text, ...flags.env].join('\n'), process.env)
      const volumes = flags.volume.map(toVolume)
      const { startContainer } = await import('./images-start.ts')
      await using container = await startContainer({
        layout,
        args,
        environment: given,
        volumes,
        root: flags.root,
      })
      const signal = abortOnSignal()
      signal.addEventListener('abort', () => container.stop('SIGTERM'))
      process.exitCode = await container.ended
    })
}

function toVolume(text: string): { from: string; to: string } {
  const colon = text.indexOf(':')
  const [from, to] = [text.slice(0, colon), text.slice(colon + 1)]
  if (colon < 1 || !to.startsWith('/')) {
    throw new Error(`'${text}' is not FROM:TO with an absolute path in the container.`)
  }
  return { from: resolve(from), to }
}
