import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, delimiter, dirname, join } from 'node:path'
import { ApiError, invalid } from '@millrace/api/errors'
import { lockFile } from './environment-lock.ts'
import { cacheDirectory, type EnvironmentOptions } from './python-environment.ts'
import { runProgram } from './run-program.ts'

const DONE_FILE = 'millrace-environment.json'
const PROGRAMS = ['conda', 'mamba', 'micromamba']
// What conda needs to activate an environment itself, and what the shell of its script adds.
const OWN_VARIABLES = /^(?:_|SHLVL|PWD|OLDPWD)$/

/** The programs that do conda's work. */
export interface Conda {
  /** Makes environments. */
  create: string
  /** Runs programs in them. */
  run: string
}

export type CondaOptions = Pick<EnvironmentOptions, 'environment' | 'signal' | 'log' | 'owner'>

/** An environment that is there. */
export interface CondaEnvironment {
  directory: string
  /** Those of a program that runs in it. */
  variables: NodeJS.ProcessEnv
}

/**
 * A conda environment with the variables that activating it sets, which is made by conda, mamba or micromamba unless it is
 * there. The variables are asked for once, with no parameter in sight. The same text of a file is the
 * same environment.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when there is no conda, INVALID_STATE when it fails
 */
export async function prepareCondaEnvironment(
  file: string | undefined,
  options: CondaOptions,
): Promise<CondaEnvironment> {
  const { environment } = options
  const conda = findConda(environment)
  const text = file === undefined ? '' : await readFile(file, 'utf8')
  const home = join(cacheDirectory(environment), 'envs')
  await mkdir(home, { recursive: true, mode: 0o700 })
  const digest = createHash('sha256')
    .update(JSON.stringify({ conda: text }))
    .digest('hex')
  const directory = join(home, digest.slice(0, 32))
  await makeOnce(directory, () => create(conda, directory, file, options), options)
  return { directory, variables: await activatedVariables(conda, directory, options) }
}

/**
 * Where MLflow looks: MLFLOW_CONDA_HOME, CONDA_EXE, then PATH (3.17 `get_conda_bin_executable`).
 *
 * @throws ApiError INVALID_PARAMETER_VALUE with what else there is to choose
 */
export function findConda(environment: NodeJS.ProcessEnv): Conda {
  const { MLFLOW_CONDA_HOME: home, CONDA_EXE: executable, MAMBA_EXE: mamba } = environment
  const bin = home ? join(home, 'bin') : executable && dirname(executable)
  const folders = bin ? [bin] : (environment['PATH'] ?? '').split(delimiter).filter(Boolean)
  const find = (name: string) =>
    folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
  const found = PROGRAMS.map(find).find((path) => path !== undefined) ?? (mamba || undefined)
  if (found === undefined) {
    throw invalid(
      `There is no conda, mamba or micromamba ${bin ? `in ${bin}` : 'on PATH'}: install one, set ` +
        'MLFLOW_CONDA_HOME to where it is, or use --env-manager uv or virtualenv, which install ' +
        'the Python and the pip packages of conda.yaml.',
    )
  }
  const named = environment['MLFLOW_CONDA_CREATE_ENV_CMD']
  const create = named ? find(named) : found
  if (create === undefined) {
    throw invalid(
      `MLFLOW_CONDA_CREATE_ENV_CMD is ${named}, which is not ${bin ? `in ${bin}` : 'on PATH'}.`,
    )
  }
  return { create, run: found }
}

async function makeOnce(
  directory: string,
  make: () => Promise<void>,
  { log, owner = 'model' }: CondaOptions,
): Promise<void> {
  const done = join(directory, DONE_FILE)
  if (existsSync(done)) return
  using _ = await lockFile(`${directory}.lock`, () =>
    log(`Another process is making the environment of this ${owner}; waiting for it.`),
  )
  if (existsSync(done)) return
  await rm(directory, { recursive: true, force: true })
  log(`Making a conda environment for the ${owner} in ${directory}`)
  try {
    await make()
    await writeFile(done, '{}')
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
}

async function create(
  conda: Conda,
  directory: string,
  file: string | undefined,
  { environment, signal, owner = 'model' }: CondaOptions,
): Promise<void> {
  const isMicro = basename(conda.create) === 'micromamba'
  const from = file === undefined ? ['--override-channels', '-c', 'conda-forge', 'python'] : []
  const args =
    file === undefined
      ? ['create', '--yes', '-p', directory, ...from]
      : isMicro
        ? ['create', '--yes', '-p', directory, '-f', file]
        : ['env', 'create', '-p', directory, '--file', file]
  const { status, lastLines } = await runProgram(conda.create, args, { environment, signal })
  signal.throwIfAborted()
  if (status === 0) return
  const reason = lastLines.slice(-6).join(' ')
  throw new ApiError(
    'INVALID_STATE',
    `${basename(conda.create)} could not make the environment of the ${owner}: ${reason}`,
  )
}

/**
 * The variables given, with those that activating an environment sets.
 *
 * @throws ApiError INVALID_STATE when it cannot be activated
 */
export async function activatedVariables(
  conda: Conda,
  directory: string,
  { environment, signal }: Pick<CondaOptions, 'environment' | 'signal'>,
): Promise<NodeJS.ProcessEnv> {
  const live = basename(conda.run) === 'conda' ? ['--no-capture-output'] : []
  const print = 'import json, os; print(json.dumps(dict(os.environ)))'
  const args = ['run', '-p', directory, ...live, 'python', '-c', print]
  const { status, lastLines } = await runProgram(conda.run, args, { environment, signal })
  signal.throwIfAborted()
  const line = lastLines.findLast((line) => line.startsWith('{'))
  if (status !== 0 || line === undefined) {
    const reason = lastLines.slice(-3).join(' ')
    throw new ApiError(
      'INVALID_STATE',
      `The conda environment ${directory} cannot be activated: ${reason} Remove it to have it made again.`,
    )
  }
  const variables = Object.entries(JSON.parse(line) as Record<string, string>)
  return {
    ...environment,
    ...Object.fromEntries(variables.filter(([name]) => !OWN_VARIABLES.test(name))),
  }
}
