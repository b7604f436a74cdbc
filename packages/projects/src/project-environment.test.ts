import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readProject } from './mlproject-file.ts'
import {
  chooseManager,
  type EnvironmentManager,
  type PrepareOptions,
  prepareProject,
} from './project-environment.ts'
import { expandRequirements } from './requirement-files.ts'

const run = promisify(execFile)

let folder: string
let logged: string[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-environment-'))
  logged = []
})
afterEach(() => rm(folder, { recursive: true }))

/** Nothing is fetched: what an index would have to give is a failure. */
function options(changes: NodeJS.ProcessEnv = {}): PrepareOptions {
  return {
    environment: {
      ...process.env,
      MILLRACE_CACHE: join(folder, 'cache'),
      UV_OFFLINE: '1',
      UV_NO_INDEX: '1',
      PIP_NO_INDEX: '1',
      ...changes,
    },
    signal: new AbortController().signal,
    log: (line) => logged.push(line),
  }
}

async function prepared(manager: EnvironmentManager, changes: NodeJS.ProcessEnv = {}) {
  return prepareProject(await readProject(folder), manager, options(changes))
}

describe('a project with packages', () => {
  test('has a python of its own first on its path, with them, and is made once', async () => {
    await writeFile(
      join(folder, 'requirements.txt'),
      '# nothing that an index would have to give\n',
    )
    await writeFile(join(folder, 'python_env.yaml'), 'dependencies: ["-r requirements.txt"]')
    const first = await prepared('uv')
    const second = await prepared('uv')
    const { stdout } = await run('python', ['-c', 'import sys; print(sys.prefix)'], {
      env: { ...first, PATH: first['PATH'] },
    })

    expect(stdout.trim()).toBe(first['VIRTUAL_ENV'])
    expect(first['PATH']?.split(delimiter)[0]).toBe(join(stdout.trim(), 'bin'))
    expect(second['VIRTUAL_ENV']).toBe(first['VIRTUAL_ENV'])
    expect(logged.filter((line) => line.startsWith('Making'))).toHaveLength(1)
  })

  test('has another environment when a file that it names changes', async () => {
    await writeFile(join(folder, 'python_env.yaml'), 'dependencies: ["-r a.txt"]')
    await writeFile(join(folder, 'a.txt'), '-c b.txt')
    await writeFile(join(folder, 'b.txt'), 'none==1')
    const first = await prepared('uv')
    await writeFile(join(folder, 'b.txt'), 'none==2')

    expect((await prepared('uv'))['VIRTUAL_ENV']).not.toBe(first['VIRTUAL_ENV'])
  })

  test('with a uv.lock has what it says, and another environment when it changes', async () => {
    const pyproject = '[project]\nname = "locked"\nversion = "1"\nrequires-python = ">=3.10"\n'
    await writeFile(join(folder, 'pyproject.toml'), pyproject)
    await run('uv', ['lock', '--quiet'], { cwd: folder, env: options().environment })
    const first = await prepared('uv')
    await writeFile(join(folder, 'pyproject.toml'), `${pyproject}# another`)
    const second = await prepared('uv')

    expect(logged.filter((line) => line === 'Installing what uv.lock says')).toHaveLength(2)
    expect(second['VIRTUAL_ENV']).not.toBe(first['VIRTUAL_ENV'])
    await rm(join(folder, 'pyproject.toml'))
    await expect(prepared('uv')).rejects.toThrow(/has a uv\.lock and no pyproject\.toml/)
  })

  test('may use whatever pip takes, with the files it names put in', async () => {
    await mkdir(join(folder, 'more'))
    await writeFile(join(folder, 'a.txt'), '--pre\nx @ git+https://git.example/x\n-r more/b.txt\n')
    await writeFile(join(folder, 'more', 'b.txt'), '--requirement=c.txt\n-c d.txt\n')
    await writeFile(join(folder, 'more', 'c.txt'), 'y>1 # why\n-e ./local\n')
    await writeFile(join(folder, 'more', 'd.txt'), 'z<2\n')

    expect(await expandRequirements(['-r a.txt'], folder)).toEqual({
      lines: ['--pre', 'x @ git+https://git.example/x', 'y>1', '-e ./local'],
      constraints: ['z<2'],
      hasPaths: true,
    })
    await writeFile(join(folder, 'a.txt'), '-r a.txt')
    await expect(expandRequirements(['-r a.txt'], folder)).rejects.toThrow(/include one another/)
    await expect(expandRequirements(['-r no.txt'], folder)).rejects.toThrow(/'no\.txt' .* cannot/)
  })
})

/** What conda does here, as far as a runner of projects sees: it makes a prefix and activates it. */
const CONDA = `#!/usr/bin/env python3
import os, sys
args = sys.argv[1:]
prefix = args[args.index("-p") + 1]
if "create" in args:
    os.makedirs(prefix)
    if os.environ.get("CONDA_FAILS"):
        sys.exit("ResolvePackageNotFound: no-such-package")
    open(prefix + "/made-by", "w").write(" ".join(args))
elif args[0] == "run":
    os.environ.update(CONDA_PREFIX=prefix, FROM_ACTIVATION="a b", SHLVL="9")
    command = [arg for arg in args[3:] if arg != "--no-capture-output"]
    os.execvp(command[0], command)
`

describe('a project with a conda.yaml', () => {
  beforeEach(async () => {
    await writeFile(join(folder, 'conda.yaml'), 'dependencies: [python=3.11]')
    await mkdir(join(folder, 'bin'))
    await writeFile(join(folder, 'bin', 'conda'), CONDA, { mode: 0o755 })
  })

  test('runs with what activating its environment sets, and is made once', async () => {
    const settings = { MLFLOW_CONDA_HOME: folder }
    const environment = await prepared('conda', settings)
    await prepared('conda', settings)

    expect(environment['FROM_ACTIVATION']).toBe('a b')
    expect(environment['CONDA_PREFIX']).toMatch(/envs\/[0-9a-f]{32}$/)
    expect(environment['SHLVL']).toBe(process.env['SHLVL'])
    expect(logged.filter((line) => line.startsWith('Making'))).toHaveLength(1)
  })

  test('leaves nothing of an environment that cannot be made', async () => {
    const settings = { MLFLOW_CONDA_HOME: folder, CONDA_FAILS: '1' }

    await expect(prepared('conda', settings)).rejects.toThrow(
      /conda could not make the environment .*no-such-package/,
    )
    const kept = await readdir(join(folder, 'cache', 'envs'))
    expect(kept.filter((name) => !name.includes('.lock'))).toEqual([])
  })

  test('is run by conda unless something else is asked for, and no other project is', async () => {
    const conda = await readProject(folder)
    const python = { ...conda, environment: { kind: 'python' } as const }

    expect(chooseManager(conda, undefined)).toBe('conda')
    expect(chooseManager(conda, 'uv')).toBe('uv')
    expect(chooseManager(python, undefined)).toBe('virtualenv')
    expect(() => chooseManager(python, 'conda')).toThrow(/cannot be executed using conda/)
  })
})
