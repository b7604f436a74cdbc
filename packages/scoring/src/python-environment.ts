import { createHash } from 'node:crypto'
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { ApiError, invalid } from '@millrace/api/errors'
import { lockFile } from './environment-lock.ts'
import { findInterpreter, localInterpreter } from './interpreter.ts'
import { type RunOptions, runProgram } from './run-program.ts'

/** What an environment is to hold, for a model or a project. */
export interface WantedEnvironment {
  /** `3.11.7` or `3.11`; undefined for that of this machine. */
  python?: string
  /** To install before the rest. */
  buildRequirements: InstallerLine[]
  requirements: InstallerLine[]
  constraints: InstallerLine[]
  /** What only conda could install. */
  leftOut: string[]
  /** What the lines alone do not say: environments that differ in it are different ones. */
  key?: string
  /** A directory with `uv.lock` and `pyproject.toml`, to be installed by them and not by lines. */
  lockedBy?: string
}

/** A line of a requirements file. */
export interface InstallerLine {
  line: string
}

/** How an environment is made: `virtualenv` uses installed Pythons, `uv` may fetch one. */
export type EnvironmentManager = 'virtualenv' | 'uv'

export interface EnvironmentOptions {
  manager: EnvironmentManager
  environment: NodeJS.ProcessEnv
  /** Gives up what is being installed. */
  signal: AbortSignal
  /** Tells a person what takes long. */
  log: (line: string) => void
  /** Whose environment it is, in what people read; a model by default. */
  owner?: 'model' | 'project'
  /** Where the installer runs, for lines that name paths. */
  directory?: string
}

// Part of the name of every environment, to be changed with how they are made.
const RECIPE = 1
const DONE_FILE = 'millrace-environment.json'
const LOCK_FILES = ['uv.lock', 'pyproject.toml']

/**
 * The interpreter of an environment with what is wanted, which is made unless it is there.
 * Environments with the same packages are the same one, by whomever they are asked for; who comes while one is being made waits for it, and one that fails is removed.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when there is no fitting Python, INVALID_STATE when a
 * package cannot be installed
 */
export async function prepareEnvironment(
  wanted: WantedEnvironment,
  options: EnvironmentOptions,
): Promise<string> {
  const { manager, environment, log, owner = 'model' } = options
  for (const dependency of wanted.leftOut) {
    log(`The ${owner}'s conda dependency '${dependency}' is left out: only conda could install it.`)
  }
  const home = join(cacheDirectory(environment), 'envs')
  await mkdir(home, { recursive: true, mode: 0o700 })
  const base = await chooseBase(wanted.python, options)
  const lists = {
    build: wanted.buildRequirements.map(({ line }) => line),
    requirements: wanted.requirements.map(({ line }) => line),
    constraints: wanted.constraints.map(({ line }) => line),
  }
  const recipe = JSON.stringify({
    recipe: RECIPE,
    manager,
    base: base.name,
    ...lists,
    key: wanted.key,
  })
  const directory = join(home, createHash('sha256').update(recipe).digest('hex').slice(0, 32))
  const python = join(directory, 'bin', 'python')

  if (await isDone(directory)) return python
  using _ = await lockFile(`${directory}.lock`, () =>
    log(`Another process is making the environment of this ${owner}; waiting for it.`),
  )
  if (await isDone(directory)) return python
  // Without its last file it is what a killed process left behind.
  await rm(directory, { recursive: true, force: true })
  log(`Making an environment for the ${owner} in ${directory}`)
  try {
    await build(directory, base, { ...lists, lockedBy: wanted.lockedBy }, options)
    await writeFile(join(directory, DONE_FILE), recipe)
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
  return python
}

/** `$MILLRACE_CACHE`, else `millrace` in the user's cache directory. */
export function cacheDirectory(environment: NodeJS.ProcessEnv): string {
  const { MILLRACE_CACHE, XDG_CACHE_HOME } = environment
  return MILLRACE_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'millrace')
}

async function isDone(directory: string): Promise<boolean> {
  return readFile(join(directory, DONE_FILE)).then(
    () => true,
    () => false,
  )
}

interface Base {
  /** What the environment is made from: a version that uv finds or fetches, or an interpreter. */
  name: string
  /** Of an installed interpreter. */
  path: string | undefined
}

async function chooseBase(
  version: string | undefined,
  { manager, environment, log, owner = 'model' }: EnvironmentOptions,
): Promise<Base> {
  if (version === undefined) {
    const { path, version } = await localInterpreter(environment)
    return { name: version, path }
  }
  const found = await findInterpreter(version, environment)
  if (found) {
    if (found.version !== version && version.split('.').length > 2) {
      log(`The ${owner} was made with Python ${version} and gets ${found.version}.`)
    }
    return { name: found.version, path: found.path }
  }
  if (manager === 'uv') return { name: version, path: undefined }
  throw invalid(
    `The ${owner} needs Python ${version}, which is neither on PATH nor in pyenv's versions folder: ` +
      'install it, or use --env-manager uv, which can fetch it, or --env-manager local.',
  )
}

type RequirementLists = Record<'build' | 'requirements' | 'constraints', string[]> & {
  lockedBy: string | undefined
}

async function build(
  directory: string,
  base: Base,
  { build, requirements, constraints, lockedBy }: RequirementLists,
  { manager, environment, signal, log, owner = 'model', ...where }: EnvironmentOptions,
): Promise<void> {
  const run = async (file: string, args: string[], doing: string, settings: RunOptions) => {
    const { status, lastLines } = await runProgram(file, args, settings)
    signal.throwIfAborted()
    if (status === 0) return
    throw new ApiError('INVALID_STATE', `${doing} failed: ${reasonIn(lastLines)}`)
  }
  const settings = {
    environment,
    signal,
    ...(where.directory !== undefined && { directory: where.directory }),
  }
  const uv = (await runProgram('uv', ['--version'], settings)).status === 0
  if (manager === 'uv' && !uv) {
    throw invalid('There is no uv on PATH: install it, or use --env-manager virtualenv.')
  }
  const python = join(directory, 'bin', 'python')
  const source = base.path ?? base.name
  const making = `Making the environment of the ${owner}`
  if (uv) await run('uv', ['venv', '--quiet', '--python', source, directory], making, settings)
  else await run(source, ['-m', 'venv', directory], making, settings)
  if (lockedBy !== undefined) {
    for (const file of LOCK_FILES) await copyFile(join(lockedBy, file), join(directory, file))
    log('Installing what uv.lock says')
    const args = ['sync', '--frozen', '--no-dev', '--no-install-project', '--python', python]
    await run('uv', args, `Installing the requirements of the ${owner} with uv`, {
      environment: { ...environment, UV_PROJECT_ENVIRONMENT: directory },
      signal,
      directory,
    })
    return
  }

  const constraintsFile = join(directory, 'millrace-constraints.txt')
  await writeFile(constraintsFile, text(constraints))
  const lists = [
    { lines: build, file: 'millrace-build-requirements.txt' },
    { lines: requirements, file: 'millrace-requirements.txt' },
  ]
  for (const { lines, file } of lists.filter(({ lines }) => lines.length > 0)) {
    const path = join(directory, file)
    await writeFile(path, text(lines))
    log(`Installing ${lines.join(', ')}`)
    const files = ['-r', path, '-c', constraintsFile]
    const doing = `Installing the requirements of the ${owner} with ${uv ? 'uv' : 'pip'}`
    if (uv) await run('uv', ['pip', 'install', '--python', python, ...files], doing, settings)
    else await run(python, ['-m', 'pip', 'install', '--no-input', ...files], doing, settings)
  }
}

function text(lines: string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}

/** The line of an installer's output that says what went wrong, with what follows from it. */
function reasonIn(lines: string[]): string {
  const at = lines.findIndex((line) => /^\s*(?:error|×|ERROR)/.test(line))
  return (at < 0 ? lines.slice(-3) : lines.slice(at, at + 6)).map((line) => line.trim()).join(' ')
}
