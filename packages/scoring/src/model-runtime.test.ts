import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { prepareRuntime } from './model-runtime.ts'

/** What conda does here: it makes a prefix with a Python in it, and activates it. */
const CONDA = `#!/usr/bin/env python3
import os, sys
args = sys.argv[1:]
prefix = args[args.index("-p") + 1]
if "create" in args:
    os.makedirs(prefix + "/bin")
    os.symlink(sys.executable, prefix + "/bin/python")
    file = args[args.index("--file") + 1]
    os.symlink(os.path.dirname(prefix), prefix + "/beside")
    for name in (file, os.path.dirname(file) + "/constraints.txt"):
        open(prefix + "/" + os.path.basename(name), "w").write(open(name).read())
elif args[0] == "run":
    os.environ.update(GDAL_DATA=prefix + "/share/gdal")
    command = [arg for arg in args[3:] if arg != "--no-capture-output"]
    os.execv(prefix + "/bin/python", command)
`
const CONDA_FILE = `
channels: [conda-forge, pytorch/label/nightly]
dependencies: [python=3.11.7, 'gdal=3.6', 'conda-forge::proj >=9,<10', pip<24, {pip: [scikit-learn==1.5.0, '-c constraints.txt']}]
`

let folder: string
let model: string
let logged: string[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-runtime-'))
  model = join(folder, 'model')
  logged = []
  await mkdir(model)
  await writeFile(join(model, 'MLmodel'), 'flavors: {python_function: {env: conda.yaml}}')
  await writeFile(join(model, 'constraints.txt'), 'numpy<2\n')
  await writeFile(join(model, 'conda.yaml'), CONDA_FILE)
})
afterEach(() => rm(folder, { recursive: true }))

function prepared(variables: NodeJS.ProcessEnv) {
  return prepareRuntime(model, {
    manager: 'conda',
    installMlflow: false,
    environment: {
      ...process.env,
      MILLRACE_CACHE: join(folder, 'cache'),
      // Nothing is fetched: what an index would have to give is a failure.
      UV_OFFLINE: '1',
      UV_NO_INDEX: '1',
      ...variables,
    },
    signal: new AbortController().signal,
    log: (line) => logged.push(line),
  })
}

async function withConda(): Promise<NodeJS.ProcessEnv> {
  const bin = join(folder, 'bin')
  await mkdir(bin, { recursive: true })
  await writeFile(join(bin, 'conda'), CONDA, { mode: 0o755 })
  return { MLFLOW_CONDA_HOME: folder }
}

describe('a model with a conda.yaml', () => {
  test('gets all that it names from conda, once, and runs activated', async () => {
    const settings = await withConda()
    const { python, environment } = await prepared(settings)
    const again = await prepared(settings)

    const prefix = dirname(dirname(python))
    expect(again.python).toBe(python)
    expect(environment['GDAL_DATA']).toBe(join(prefix, 'share', 'gdal'))
    expect(
      JSON.parse((await readFile(join(prefix, 'conda.yaml'), 'utf8')).split('\n#')[0] ?? ''),
    ).toEqual({
      channels: ['conda-forge', 'pytorch/label/nightly'],
      dependencies: [
        'python=3.11.7',
        'pip<24',
        'gdal=3.6',
        'conda-forge::proj >=9,<10',
        { pip: ['-c constraints.txt', 'scikit-learn==1.5.0'] },
      ],
    })
    expect(await readFile(join(prefix, 'constraints.txt'), 'utf8')).toBe('numpy<2\n')
    expect(logged.filter((line) => line.startsWith('Making'))).toHaveLength(1)
  })

  test('has another environment when its constraints are others', async () => {
    const settings = await withConda()
    const { python } = await prepared(settings)
    await writeFile(join(model, 'constraints.txt'), 'numpy<1.20\n')

    expect((await prepared(settings)).python).not.toBe(python)
  })

  test.each([
    ["channels: ['https://elsewhere.example/channel']", /channel 'https.*' is refused/],
    ["dependencies: ['https://elsewhere.example/gdal.conda']", /dependency 'https.*' is refused/],
    ["dependencies: ['--file=/etc/passwd']", /dependency '--file.*' is refused/],
    ["dependencies: ['gdal[url=https://elsewhere.example/x]']", /dependency 'gdal.*' is refused/],
    ["dependencies: [{pip: ['--index-url https://elsewhere.example']}]", /--index-url/],
  ])('does not choose where packages come from by %s', async (file, refusal) => {
    await writeFile(join(model, 'conda.yaml'), file)

    await expect(prepared(await withConda())).rejects.toThrow(refusal)
    expect(await readdir(folder)).not.toContain('cache')
  })

  test('is told what is left out where there is no conda', async () => {
    await writeFile(join(model, 'conda.yaml'), "dependencies: ['gdal=3.6', libtiff]")
    const { python } = await prepared({ MLFLOW_CONDA_HOME: join(folder, 'none'), MAMBA_EXE: '' })

    expect(python).toMatch(/envs\/[0-9a-f]{32}\/bin\/python$/)
    expect(logged[0]).toBe(
      'There is no conda, mamba or micromamba on PATH: the environment gets the Python and the pip ' +
        "packages of the model's conda.yaml; left out are gdal=3.6, libtiff.",
    )
  })
})
