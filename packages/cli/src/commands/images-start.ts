import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { arch, constants, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readImage } from '@millrace/sagemaker/images/oci-layout'
import { unpackImage } from '@millrace/sagemaker/images/unpack-image'
import type { Container } from './images-enter.ts'
import { parseEnvFile } from './images-env-file.ts'

const MILLRACE = fileURLToPath(new URL('../../bin/millrace.cjs', import.meta.url))

export interface ContainerStart {
  layout: string
  /** In place of the command of the image, when there are any. */
  args: string[]
  environment: Record<string, string>
  volumes: { from: string; to: string }[]
  /** Where the image is unpacked and stays, so that the next start is quick; it must be of that image. */
  root?: string | undefined
  /** Where what it prints goes; to this program's output unless given. */
  output?: 'pipe' | undefined
}

export interface RunningContainer extends AsyncDisposable {
  process: ChildProcess
  /** The exit code, or 128 and the number of the signal. */
  ended: Promise<number>
  /** Sends a signal to the program in the container. */
  stop(signal: 'SIGTERM' | 'SIGKILL'): void
}

/** Why an image cannot be started here, in one sentence; undefined when it can. */
export function whyNoContainers(): string | undefined {
  if (process.platform !== 'linux') return 'images run only on Linux'
  if (process.getuid?.() !== 0) return 'namespaces and mounts take root'
  return undefined
}

/**
 * Unpacks the image for this machine's processor and starts it. The unpacked files go when the
 * container is disposed of.
 */
export async function startContainer(start: ContainerStart): Promise<RunningContainer> {
  const why = whyNoContainers()
  if (why) throw new Error(`The image cannot be started here: ${why}.`)
  const image = await readImage(start.layout, arch() === 'arm64' ? 'arm64' : 'amd64')
  const folder = await mkdtemp(join(tmpdir(), 'millrace-container-'))
  const root = start.root === undefined ? join(folder, 'root') : resolve(start.root)
  try {
    if (!existsSync(root)) {
      const unfinished = `${root}.unfinished`
      await rm(unfinished, { recursive: true, force: true })
      await unpackImage(start.layout, image, unfinished)
      await rename(unfinished, root)
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    throw error
  }
  const { Entrypoint = [], Cmd = [], User = '0', WorkingDir, Env = [] } = image.config.config
  const container: Container = {
    root,
    user: Number.parseInt(User, 10),
    workingDirectory: WorkingDir || '/',
    command: [...Entrypoint, ...(start.args.length > 0 ? start.args : Cmd)],
    environment: { ...parseEnvFile(Env.join('\n'), {}), ...start.environment },
    volumes: start.volumes,
  }
  const spec = join(folder, 'container.json')
  // The environment holds passwords, and a command line can be read by everybody.
  await writeFile(spec, JSON.stringify(container), { mode: 0o600 })
  const child = spawn(
    'unshare',
    ['--mount', '--pid', '--fork', '--kill-child=KILL', '--propagation=private', '--'].concat(
      process.execPath,
      MILLRACE,
      'images',
      'enter',
      spec,
    ),
    { stdio: ['ignore', start.output ?? 'inherit', start.output ?? 'inherit'], detached: true },
  )
  return toRunning(child, folder)
}

function toRunning(child: ChildProcess, folder: string): RunningContainer {
  const stop = (signal: 'SIGTERM' | 'SIGKILL') => {
    // The program is the first process of its own namespace, in the process group of `unshare`.
    if (child.pid && child.exitCode === null && child.signalCode === null) {
      process.kill(-child.pid, signal)
    }
  }
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) =>
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)),
    )
  })
  return {
    process: child,
    ended,
    stop,
    async [Symbol.asyncDispose]() {
      stop('SIGKILL')
      await ended.catch(() => undefined)
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
