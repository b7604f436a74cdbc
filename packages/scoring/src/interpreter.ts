import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { invalid } from '@millrace/api/errors'

/** A Python that runs on this machine. */
export interface Interpreter {
  /** The interpreter itself, not a shim or a link on PATH. */
  path: string
  /** `3.11.7` */
  version: string
}

const run = promisify(execFile)
const PROBE = 'import sys; print(sys.executable); print("%d.%d.%d" % sys.version_info[:3])'
const PROBE_LIMIT_MS = 30_000

/**
 * The Python to run models with where none is to be made: MILLRACE_PYTHON, else `python` on PATH.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when there is none that runs
 */
export async function localInterpreter(environment: NodeJS.ProcessEnv): Promise<Interpreter> {
  const named = environment['MILLRACE_PYTHON']
  for (const path of named ? [named] : ['python', 'python3']) {
    const interpreter = await probe(path, environment)
    if (interpreter) return interpreter
  }
  if (named) throw invalid(`MILLRACE_PYTHON is ${named}, which is no Python that runs.`)
  throw invalid('There is no python on PATH: install one, or set MILLRACE_PYTHON to its path.')
}

/**
 * The installed Python that is nearest to a version: the same one, else another patch of the same
 * minor version, for which packages and pickles are the same. Undefined when there is none.
 */
export async function findInterpreter(
  version: string,
  environment: NodeJS.ProcessEnv,
): Promise<Interpreter | undefined> {
  const minor = version.split('.').slice(0, 2).join('.')
  let nearest: Interpreter | undefined
  for (const path of await candidates(version, minor, environment)) {
    const interpreter = await probe(path, environment)
    if (interpreter?.version === version) return interpreter
    if (interpreter?.version.startsWith(`${minor}.`)) nearest ??= interpreter
  }
  return nearest
}

async function candidates(version: string, minor: string, environment: NodeJS.ProcessEnv) {
  const pyenv = join(environment['PYENV_ROOT'] ?? join(homedir(), '.pyenv'), 'versions')
  const installed = await readdir(pyenv).catch(() => [])
  const sameMinor = installed.filter((name) => name.startsWith(`${minor}.`))
  const ordered = [...sameMinor.filter((name) => name === version), ...sameMinor.sort().reverse()]
  const folders = (environment['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  return [
    ...(environment['MILLRACE_PYTHON'] ? [environment['MILLRACE_PYTHON']] : []),
    ...ordered.map((name) => join(pyenv, name, 'bin', 'python')),
    ...folders.flatMap((folder) => [join(folder, `python${minor}`), join(folder, 'python3')]),
  ]
}

/** Undefined for what is not there or does not run. */
async function probe(path: string, env: NodeJS.ProcessEnv): Promise<Interpreter | undefined> {
  try {
    const { stdout } = await run(path, ['-c', PROBE], { env, timeout: PROBE_LIMIT_MS })
    const [executable, version] = stdout.split('\n')
    return executable && version ? { path: executable, version } : undefined
  } catch {
    return undefined
  }
}
