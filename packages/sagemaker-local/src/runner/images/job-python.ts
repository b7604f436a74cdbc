import { execFile } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { ApiError, invalid } from '@millrace/api/errors'
import { parseRequirement, type Requirement } from '@millrace/models/requirement'
import { type Interpreter, localInterpreter } from '@millrace/scoring/interpreter'
import { prepareEnvironment } from '@millrace/scoring/python-environment'
import { z } from 'zod'
import type { WantedPython } from './resolve-image.ts'

/** A Python that a job can be run with. */
export interface JobPython {
  path: string
  /** `3.11` */
  version: string
  /** Where its packages are. */
  packagesFolder: string
  /** Folders that have to be visible to whoever runs it. */
  folders: string[]
  /** The interpreter that its environment was made from. */
  basePath: string
}

export interface PrepareOptions {
  environment: Record<string, string>
  signal: AbortSignal
  log: (line: string) => void
}

const run = promisify(execFile)
const PROBE_LIMIT_MS = 30_000
const PROBE = `
import json, os, sys, sysconfig
print(json.dumps({
  "version": "%d.%d" % sys.version_info[:2],
  "packagesFolder": sysconfig.get_paths()["purelib"],
  "basePath": os.path.realpath(sys.executable),
  "folders": sorted({sys.prefix, os.path.realpath(sys.prefix), sys.base_prefix, os.path.realpath(sys.base_prefix)}),
}))
`
const Probed = z.object({
  version: z.string(),
  packagesFolder: z.string(),
  basePath: z.string(),
  folders: z.array(z.string()),
})

/**
 * An environment with what is wanted and what a job requires, made once for the same packages. What
 * the job requires takes the place of the framework's package of the same name.
 *
 * @throws ApiError when there is no such Python or a package cannot be installed
 */
export async function preparePython(
  wanted: WantedPython,
  requirements: Requirement[],
  { environment, signal, log }: PrepareOptions,
): Promise<JobPython> {
  if (wanted.kind === 'interpreter') return describePython(wanted.path, environment)
  const named = new Set(requirements.map(({ name }) => name))
  const kept = wanted.packages.map(parseRequirement).filter(({ name }) => !named.has(name))
  const python = wanted.version ?? (await findLocal(environment)).version
  const path = await prepareEnvironment(
    {
      python,
      buildRequirements: [],
      requirements: [...kept, ...requirements],
      constraints: [],
      leftOut: [],
    },
    // Jobs may not write to it, so that what is not compiled now would be compiled in every job.
    { manager: 'uv', environment: { ...environment, UV_COMPILE_BYTECODE: '1' }, signal, log },
  )
  return describePython(path, environment)
}

/** The Python that is on this machine as it is; undefined when there is none. */
export async function findPython(
  environment: Record<string, string>,
): Promise<JobPython | undefined> {
  try {
    return await describePython((await findLocal(environment)).path, environment)
  } catch (error) {
    if (error instanceof ApiError) return undefined
    throw error
  }
}

// Asking an interpreter takes as long as starting it, and its answer stays the same.
const described = new Map<string, JobPython>()
const localVersions = new Map<string, Promise<Interpreter>>()

function findLocal(environment: Record<string, string>): Promise<Interpreter> {
  const path = environment['PATH'] ?? ''
  const known = localVersions.get(path)
  if (known) return known
  const found = localInterpreter(environment)
  localVersions.set(path, found)
  found.catch(() => localVersions.delete(path))
  return found
}

async function describePython(path: string, env: Record<string, string>): Promise<JobPython> {
  const known = described.get(path)
  if (known) return known
  try {
    const { stdout } = await run(path, ['-c', PROBE], { env, timeout: PROBE_LIMIT_MS })
    const python = { path, ...Probed.parse(JSON.parse(stdout)) }
    described.set(path, python)
    return python
  } catch (cause) {
    throw invalid(`${path} is no Python that runs: ${String(cause)}`)
  }
}

/** The packages of a Python by which others are installed, in an environment of their own. */
export function preparePip(python: JobPython, options: PrepareOptions): Promise<JobPython> {
  const packages = ['pip', 'setuptools<81', 'wheel']
  return preparePython({ kind: 'packages', version: python.version, packages }, [], options)
}

/**
 * Writes an environment of a job's own that begins with the packages of others and can be added to,
 * in milliseconds. `directory` is where it lies and `seenAs` where the job sees it. Gives the path of
 * its interpreter as the job sees it.
 */
export async function layerPython(
  python: JobPython,
  pip: JobPython,
  { directory, seenAs }: { directory: string; seenAs: string },
): Promise<string> {
  const packages = join('lib', `python${python.version}`, 'site-packages')
  const interpreter = join(seenAs, 'bin', 'python')
  await mkdir(join(directory, packages), { recursive: true })
  await mkdir(join(directory, 'bin'))
  await writeFile(
    join(directory, 'pyvenv.cfg'),
    `home = ${dirname(python.basePath)}\ninclude-system-site-packages = false\n`,
  )
  for (const name of ['python', 'python3', `python${python.version}`]) {
    await symlink(python.basePath, join(directory, 'bin', name))
  }
  const folders = [python.packagesFolder, pip.packagesFolder]
  // Read when the interpreter starts; the folders' own such files are read too.
  await writeFile(
    join(directory, packages, 'millrace.pth'),
    folders.map((folder) => `import site; site.addsitedir(${JSON.stringify(folder)})\n`).join(''),
  )
  const program = `#!${interpreter}\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n`
  for (const name of ['pip', 'pip3']) {
    await writeFile(join(directory, 'bin', name), program, { mode: 0o755 })
  }
  return interpreter
}
