import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, delimiter, dirname, join } from 'node:path'
import { ApiError, invalid } from '@millrace/api/errors'
import {
  type DeclaredEnvironment,
  declaredByConda,
  declaredByPythonEnv,
} from '@millrace/models/model-environment'
import { prepareCondaEnvironment } from '@millrace/scoring/conda-environment'
import { prepareEnvironment, type WantedEnvironment } from '@millrace/scoring/python-environment'
import type { Project } from './mlproject-file.ts'
import { expandRequirements } from './requirement-files.ts'

export const ENVIRONMENT_MANAGERS = ['local', 'virtualenv', 'uv', 'conda'] as const
/** How a project gets its packages; `local` takes what is there. */
export type EnvironmentManager = (typeof ENVIRONMENT_MANAGERS)[number]

export interface PrepareOptions {
  environment: NodeJS.ProcessEnv
  signal: AbortSignal
  log: (line: string) => void
}

const BUILD_FILES = ['pyproject.toml', 'setup.py', 'setup.cfg']

/**
 * What to use unless it is said: what the project's own file is for.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when the project cannot be run that way
 */
export function chooseManager(
  { environment: { kind } }: Project,
  asked: EnvironmentManager | undefined,
): EnvironmentManager {
  if (asked === 'conda' && kind === 'python') {
    throw invalid(
      'python_env project cannot be executed using conda. Set `--env-manager` to ' +
        "'virtualenv', 'uv' or 'local' to execute this project.",
    )
  }
  return asked ?? (kind === 'conda' ? 'conda' : 'virtualenv')
}

/**
 * The variables that a project's command runs with: those given, changed so that the programs of its
 * environment come first. The environment is made unless it is there.
 *
 * @throws ApiError saying what is missing
 */
export async function prepareProject(
  project: Project,
  manager: EnvironmentManager,
  options: PrepareOptions,
): Promise<NodeJS.ProcessEnv> {
  const { environment } = options
  if (manager === 'local') return localEnvironment(environment)
  if (manager === 'conda') {
    const { environment: declared } = project
    const file = declared.kind === 'conda' ? declared.file : undefined
    return (await prepareCondaEnvironment(file, { ...options, owner: 'project' })).variables
  }
  const wanted = await wantedEnvironment(project, manager)
  const python = await prepareEnvironment(wanted, {
    ...options,
    manager,
    owner: 'project',
    directory: project.directory,
  }).catch((error: unknown) => {
    throw plainer(error)
  })
  const { PYTHONHOME: _home, ...rest } = environment
  const bin = dirname(python)
  return { ...rest, ...firstOnPath(environment, bin), VIRTUAL_ENV: dirname(bin) }
}

/** MILLRACE_PYTHON is the `python` of commands, where there is one by that name beside it. */
function localEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const named = environment['MILLRACE_PYTHON']
  const bin = named && dirname(named)
  if (!bin || !existsSync(join(bin, 'python'))) return environment
  return { ...environment, ...firstOnPath(environment, bin) }
}

function firstOnPath({ PATH }: NodeJS.ProcessEnv, bin: string) {
  return { PATH: PATH ? `${bin}${delimiter}${PATH}` : bin }
}

async function wantedEnvironment(
  project: Project,
  manager: 'virtualenv' | 'uv',
): Promise<WantedEnvironment> {
  const { directory } = project
  const declared = await declaredEnvironment(project)
  const build = await expandRequirements(declared.buildLines, directory)
  const expanded = await expandRequirements(declared.lines, directory)
  const lockedBy = manager === 'uv' && existsSync(join(directory, 'uv.lock'))
  if (lockedBy && !existsSync(join(directory, 'pyproject.toml'))) {
    throw invalid('The project has a uv.lock and no pyproject.toml, which uv needs beside it.')
  }
  const keyFiles = [
    ...(lockedBy ? ['uv.lock', 'pyproject.toml'] : []),
    ...(expanded.hasPaths ? BUILD_FILES : []),
  ]
  const key = await digestOf(directory, keyFiles, expanded.hasPaths)
  const line = (text: string) => ({ line: text })
  return {
    ...(declared.python !== undefined && { python: declared.python }),
    buildRequirements: build.lines.map(line),
    requirements: expanded.lines.map(line),
    constraints: [...build.constraints, ...expanded.constraints].map(line),
    leftOut: declared.leftOut,
    ...(key !== undefined && { key }),
    ...(lockedBy && { lockedBy: directory }),
  }
}

async function declaredEnvironment({ environment }: Project): Promise<DeclaredEnvironment> {
  if (environment.kind === 'docker' || environment.file === undefined) {
    return { python: undefined, buildLines: [], lines: [], leftOut: [] }
  }
  const { kind, file } = environment
  const text = await readFile(file, 'utf8')
  const name = basename(file)
  return kind === 'conda'
    ? declaredByConda(text, name, 'project')
    : declaredByPythonEnv(text, name, 'project')
}

/** Of files that decide what is installed, and of where they are when lines name paths. */
async function digestOf(
  directory: string,
  files: string[],
  hasPaths: boolean,
): Promise<string | undefined> {
  if (files.length === 0) return undefined
  const hash = createHash('sha256').update(hasPaths ? directory : '')
  for (const file of files) {
    const bytes = await readFile(join(directory, file)).catch(() => '')
    hash.update(`\0${file}\0`).update(bytes)
  }
  return hash.digest('hex')
}

/** A full disk is not the fault of a requirement, which is all that the installer's words say. */
function plainer(error: unknown): unknown {
  if (!(error instanceof Error) || !/no space left|ENOSPC|disk quota/i.test(error.message)) {
    return error
  }
  return new ApiError(
    'INVALID_STATE',
    'The disk is full: the environment of the project could not be installed, and what was there ' +
      'of it is removed. Free some space, or set MILLRACE_CACHE to a directory on another disk. ' +
      `(${error.message})`,
    { cause: error },
  )
}
