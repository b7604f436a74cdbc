import { spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import environments from './python-environments.json' with { type: 'json' }
import { hashOf } from './stamp.mjs'
import { root, runStep } from './step.mjs'

/** A name in python-environments.json, which is also its folder below `.python`. */
export type PythonEnvironmentName = keyof typeof environments

export const pythonEnvironmentNames = Object.keys(environments) as PythonEnvironmentName[]

interface Environment {
  /** Versions of the interpreter, the best first. */
  pythons: string[]
  packages: string[]
  /**
   * Modules that are compiled at once: where an environment may only be read, as in a job, Python would
   * compile them each time. All that such packages bring takes minutes, and most of it is never used.
   */
  imports?: string
}

const folder = join(root, '.python')

// Interpreters of other projects are found, never fetched behind a person's back.
const uvEnvironment = { ...process.env, UV_PYTHON_DOWNLOADS: 'never' }

/** The interpreter of an environment, whether it is there or not. */
export function pythonOf(name: PythonEnvironmentName): string {
  return join(folder, name, 'bin', 'python')
}

/** Says in one sentence what to install when an environment's interpreter is not on this machine. */
export function missingPython(name: PythonEnvironmentName): string {
  const { pythons } = environments[name]
  return `${name} needs Python ${pythons.join(' or ')}, which is neither on PATH nor in pyenv's versions folder`
}

/**
 * Makes the environment with uv unless it is there as python-environments.json describes it.
 * Returns false when no fitting interpreter is installed; throws when an installation fails.
 */
export async function ensurePythonEnvironment(name: PythonEnvironmentName): Promise<boolean> {
  const { pythons, packages, imports }: Environment = environments[name]
  const stampFile = join(folder, name, '.millrace-setup')
  const stamp = hashOf([JSON.stringify([pythons, packages, imports])])
  const isStamped = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp
  if (isStamped && existsSync(pythonOf(name))) return true

  const uv = await ensureUv()
  if (!existsSync(pythonOf(name))) {
    const interpreter = findPython(pythons)
    if (interpreter === undefined) return false
    await runStep({
      title: `Making the Python environment ${name}`,
      file: uv,
      args: ['venv', '--clear', '--python', interpreter, join(folder, name)],
      advice: `Remove .python/${name} and run the same command again.`,
      env: uvEnvironment,
    })
  }
  await runStep({
    title: `Installing ${packages[0]} and what it needs`,
    file: uv,
    args: ['pip', 'install', '--python', pythonOf(name), ...packages],
    advice: 'Check that PyPI can be reached, then run the same command again.',
    env: uvEnvironment,
  })
  if (imports !== undefined) {
    await runStep({
      title: `Compiling what is used of ${packages[0]}`,
      file: pythonOf(name),
      args: ['-W', 'ignore', '-c', `import ${imports}`],
      advice: `Remove .python/${name} and run the same command again.`,
    })
  }
  writeFileSync(stampFile, stamp)
  return true
}

async function ensureUv(): Promise<string> {
  if (spawnSync('uv', ['--version']).status === 0) return 'uv'
  const home = join(folder, 'uv')
  const uv = join(home, 'bin', 'uv')
  if (existsSync(uv)) return uv
  mkdirSync(folder, { recursive: true })
  await runStep({
    title: 'Making a Python environment for uv',
    file: 'python3',
    args: ['-m', 'venv', home],
    advice: 'Install Python 3 with its venv module, or uv.',
  })
  await runStep({
    title: 'Installing uv',
    file: join(home, 'bin', 'pip'),
    args: ['install', '--quiet', 'uv'],
    advice: 'Check that PyPI can be reached, or install uv yourself.',
  })
  return uv
}

/** The first interpreter that runs and has one of the versions, in their order. */
function findPython(versions: string[]): string | undefined {
  return versions.flatMap(candidates).find(([path, version]) => runs(path, version))?.[0]
}

function candidates(version: string): [path: string, version: string][] {
  const pyenv = process.env['PYENV_ROOT'] ?? join(homedir(), '.pyenv')
  const onPath = (process.env['PATH'] ?? '').split(delimiter)
  return [
    ...globSync(join(pyenv, 'versions', `${version}.*`, 'bin', 'python')),
    ...onPath.flatMap((bin) => [join(bin, `python${version}`), join(bin, 'python3')]),
  ]
    .filter((path) => existsSync(path))
    .map((path) => [path, version])
}

function runs(path: string, version: string): boolean {
  const program = 'import sys; print("%d.%d" % sys.version_info[:2])'
  const { stdout } = spawnSync(path, ['-c', program], { encoding: 'utf8' })
  return stdout?.trim() === version
}
