import { existsSync, readFileSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@millrace/client/client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { zipOf } from '../../packages/projects/test/zip-writer.ts'
import { millraceRun, readRun, startRun } from './millrace-run.ts'
import { type RunningServer, startServer } from './server.ts'

const PROJECT = `
entry_points:
  main:
    parameters: {data: {type: path, default: MLproject}}
    command: "python -c 'print(1)'"
  wait:
    command: "bash wait.bash"
  shell-wait:
    command: "true && bash wait.bash"
  mistaken:
    command: "python mistaken.py"
  needs:
    parameters: {alpha: float, beta: float}
    command: "python x.py {alpha} {beta}"
  uri:
    parameters: {from: uri}
    command: "python -c 1"
  none:
    command: "no-such-program x"
  killed:
    command: "bash -c 'kill -KILL $$'"
  daemon:
    command: "bash daemon.bash"
`
/** Writes its number and that of a child of its own, then waits for a signal. */
const WAIT = `
sleep 1000 &
echo "$$ $!" > pids
echo waiting
wait
`
const DAEMON = 'sleep 1000 &\necho "$$ $!" > pids\n'

/** Takes being stopped for a failure, as a block of `with mlflow.start_run()` does. */
const MISTAKEN = `
import json, os, time, urllib.request
print("waiting", flush=True)
try:
    time.sleep(1000)
except KeyboardInterrupt:
    body = json.dumps({"run_id": os.environ["MLFLOW_RUN_ID"], "status": "FAILED"}).encode()
    url = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/update"
    urllib.request.urlopen(urllib.request.Request(url, body, {"content-type": "application/json"}))
    raise
`

let server: RunningServer
let folder: string
let project: string
let environment: Record<string, string>

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'millrace-endings-')))
  project = join(folder, 'project')
  await mkdir(project)
  await writeFile(join(project, 'MLproject'), PROJECT)
  await writeFile(join(project, 'wait.bash'), WAIT)
  await writeFile(join(project, 'daemon.bash'), DAEMON)
  await writeFile(join(project, 'mistaken.py'), MISTAKEN)
  await mkdir(join(folder, 'double'))
  await writeFile(join(folder, 'double', 'MLproject'), 'conda_env: c.yaml\npython_env: p.yaml\n')
  await writeFile(join(folder, 'climbing.zip'), zipOf([{ name: '../pwned', text: 'x' }]))
  server = await startServer()
  environment = { MLFLOW_TRACKING_URI: server.url }
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})
beforeEach(() => rm(join(project, 'pids'), { force: true }))

const local = (...args: string[]) => [project, '--env-manager', 'local', ...args]
const reasonOf = (run: Awaited<ReturnType<typeof readRun>>) =>
  run.tags['millrace.project.failureReason']

/** The processes of the project that still run. */
async function left(): Promise<number[]> {
  const pids = (await readFile(join(project, 'pids'), 'utf8')).trim().split(' ').map(Number)
  return pids.filter((pid) => {
    const file = `/proc/${pid}/stat`
    return existsSync(file) && !/\) [ZX] /.test(readFileSync(file, 'utf8'))
  })
}

/** What runs have put into the temporary directory. */
async function temporary(): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.startsWith('millrace-'))
}

async function newRun(): Promise<string> {
  const client = createClient({ baseUrl: server.url })
  const { run } = await client.runs.create({ experiment_id: '0' })
  return run.info.run_id
}

async function runCount(): Promise<number> {
  const client = createClient({ baseUrl: server.url })
  const { runs = [] } = await client.runs.search({ experiment_ids: ['0'] })
  return runs.length
}

async function runsOf(experiment_name: string) {
  const { experiments, runs } = createClient({ baseUrl: server.url })
  const { experiment } = await experiments.getByName({ experiment_name })
  const found = await runs.search({ experiment_ids: [experiment.experiment_id] })
  return found.runs ?? []
}

describe('a run that is stopped', () => {
  test.each([
    ['SIGTERM', 143, 'wait'],
    ['SIGINT', 130, 'shell-wait'],
  ] as const)(
    'by %s is KILLED, ends with %d, and leaves no process',
    async (signal, code, entry) => {
      const run_id = await newRun()
      const started = startRun(folder, local('-e', entry, '--run-id', run_id), environment)
      await started.printed(/waiting/)
      started.child.kill(signal)

      expect((await started.ended).code).toBe(code)
      const run = await readRun(server.url, run_id)
      expect({ status: run.info.status, reason: reasonOf(run) }).toEqual({
        status: 'KILLED',
        reason: `The run was stopped by ${signal}.`,
      })
      expect(await left()).toEqual([])
    },
  )

  test('is KILLED also when its code took that for a failure', async () => {
    const run_id = await newRun()
    const started = startRun(folder, local('-e', 'mistaken', '--run-id', run_id), environment)
    await started.printed(/waiting/)
    started.child.kill('SIGINT')

    expect((await started.ended).code).toBe(130)
    expect((await readRun(server.url, run_id)).info.status).toBe('KILLED')
  })

  test('by killing the runner itself is KILLED all the same, and leaves no process', async () => {
    const run_id = await newRun()
    const started = startRun(folder, local('-e', 'wait', '--run-id', run_id), environment)
    await started.printed(/waiting/)
    started.child.kill('SIGKILL')

    await expect
      .poll(async () => (await readRun(server.url, run_id)).info.status, { timeout: 180_000 })
      .toBe('KILLED')
    expect(await left()).toEqual([])
  })

  test('because its command was killed is KILLED, and says so', async () => {
    const run_id = await newRun()
    const { code } = await millraceRun(
      folder,
      local('-e', 'killed', '--run-id', run_id),
      environment,
    )
    const run = await readRun(server.url, run_id)

    expect({ code, status: run.info.status }).toEqual({ code: 137, status: 'KILLED' })
    expect(reasonOf(run)).toMatch(
      /ended by SIGKILL, which is also what happens when memory runs out/,
    )
  })
})

test('what a command leaves running is ended with it', async () => {
  const { code } = await millraceRun(folder, local('-e', 'daemon'), environment)

  expect({ code, left: await left() }).toEqual({ code: 0, left: [] })
})

test.each<[string[], RegExp]>([
  [['-P', 'alpha'], /Invalid format for -P parameter: 'alpha'\. Use -P name=value\./],
  [['-P', 'a=1', '-P', 'a=2'], /Repeated parameter: 'a'/],
  [['-c', '{'], /--backend-config is not JSON/],
  [['-c', 'none.json'], /--backend-config file cannot be read/],
])('%j on the command line is one sentence, exit code 1 and no run', async (args, sentence) => {
  const before = await runCount()
  const { code, output } = await millraceRun(folder, local(...args), environment)

  expect(code).toBe(1)
  expect(output).toMatch(sentence)
  expect(output.trim().split('\n')).toHaveLength(1)
  expect(await runCount()).toBe(before)
})

describe('what is wrong with the project or its parameters', () => {
  test.each<[string, string[], RegExp]>([
    ['project', ['-e', 'needs', '-P', 'beta=1'], /No value given .*: 'alpha' .*-P alpha=VALUE/],
    ['project', ['-e', 'train'], /Could not find train among entry points \['main', /],
    ['project', ['-b', 'moon'], /unsupported execution mode moon\. Supported values: local/],
    ['project', ['-v', 'main'], /Setting a version is only supported for Git project URIs/],
    ['double', [], /cannot contain multiple environment fields: MLproject has .* and /],
    ['none', [], /There is no project at 'none': name a directory, a \.zip file/],
    ['--upload-pack=touch pwned', [], /There is no project at '--upload-pack=touch pwned'/],
    ['ext::sh -c touch% pwned', [], /There is no project at 'ext::sh -c touch% pwned'/],
    ['climbing.zip', [], /invalid relative path: \.\.\/pwned/],
  ])(
    '%s %j is one sentence, exit code 1, and the reason of a FAILED run',
    async (uri, args, sentence) => {
      const before = await temporary()
      const experiment = `bad input ${uri} ${args.join(' ')}`
      const settings = ['--env-manager', 'local', '--experiment-name', experiment, ...args]
      const { code, output } = await millraceRun(folder, [...settings, '--', uri], environment)
      const runs = await runsOf(experiment)
      const run = await readRun(server.url, runs[0]?.info.run_id ?? '')

      expect(code).toBe(1)
      expect(output.trim().split('\n').at(-1)).toMatch(sentence)
      expect(runs).toHaveLength(1)
      expect(run.info).toMatchObject({ status: 'FAILED', end_time: expect.any(Number) })
      expect(reasonOf(run)).toMatch(sentence)
      expect(run.tags).toMatchObject({
        'mlflow.source.type': 'PROJECT',
        'mlflow.source.name': expect.stringContaining(uri),
      })
      expect(await temporary()).toEqual(before)
      expect(existsSync(join(folder, 'pwned'))).toBe(false)
    },
  )

  test('ends the run that was given as FAILED', async () => {
    const run_id = await newRun()
    await millraceRun(folder, local('-e', 'train', '--run-id', run_id), environment)
    const run = await readRun(server.url, run_id)

    expect(run.info.status).toBe('FAILED')
    expect(reasonOf(run)).toMatch(/^Could not find train among entry points/)
  })
})

describe('what is found when there is a run', () => {
  test.each<[string, string[], RegExp]>([
    ['no such path', ['-P', 'data=no/such'], /no\/such for parameter data, but no such file/],
    ['no URI', ['-e', 'uri', '-P', 'from=x'], /Expected URI for parameter from but got x/],
    ['no such program', ['-e', 'none'], /'no-such-program', which is not on PATH/],
    ['nothing to fetch', ['-P', 'data=runs:/none/x'], /Run with id=none not found/],
  ])(
    '%s is one sentence, exit code 1, and the reason of a FAILED run',
    async (_, args, sentence) => {
      const before = await temporary()
      const run_id = await newRun()
      const { code, output } = await millraceRun(
        folder,
        local('--run-id', run_id, ...args),
        environment,
      )
      const run = await readRun(server.url, run_id)

      expect(output).toMatch(sentence)
      expect({ code, status: run.info.status }).toEqual({ code: 1, status: 'FAILED' })
      expect(reasonOf(run)).toMatch(sentence)
      expect(await temporary()).toEqual(before)
    },
  )

  test.each<[string, string[], string, RegExp]>([
    [
      'a Python that is not there',
      ['--env-manager', 'virtualenv'],
      'python: "2.1.3"',
      /needs Python 2\.1\.3, which is neither on PATH .* use --env-manager uv/,
    ],
    [
      'a requirement that is not there',
      ['--env-manager', 'virtualenv'],
      'dependencies: [millrace-none==1]',
      /Installing the requirements of the project with \w+ failed/,
    ],
    [
      'a full disk',
      ['--env-manager', 'uv'],
      'dependencies: [full]',
      /The disk is full: .* Free some space, or set MILLRACE_CACHE/,
    ],
  ])('%s ends the run and leaves no environment', async (what, args, declared, sentence) => {
    const needy = await mkdtemp(join(folder, 'needy-'))
    await writeFile(join(needy, 'MLproject'), 'python_env: env.yaml\n')
    await writeFile(join(needy, 'x.py'), '')
    await writeFile(join(needy, 'env.yaml'), declared)
    const bin = join(needy, 'bin')
    const paths = what === 'a full disk' ? `${await fakeUv(bin)}:` : ''
    const run_id = await newRun()
    const { code } = await millraceRun(folder, [needy, '-e', 'x.py', '--run-id', run_id, ...args], {
      ...environment,
      PATH: `${paths}${process.env['PATH']}`,
      MILLRACE_CACHE: join(needy, 'cache'),
      UV_OFFLINE: '1',
      UV_NO_INDEX: '1',
      PIP_NO_INDEX: '1',
    })
    const run = await readRun(server.url, run_id)

    expect(reasonOf(run)).toMatch(sentence)
    expect({ code, status: run.info.status }).toEqual({ code: 1, status: 'FAILED' })
    const kept = await readdir(join(needy, 'cache', 'envs')).catch(() => [])
    expect(kept.filter((name) => !name.includes('.lock'))).toEqual([])
  })

  test('no conda is one sentence that says what else there is', async () => {
    const needy = await mkdtemp(join(folder, 'needy-'))
    await writeFile(join(needy, 'x.py'), '')
    await writeFile(join(needy, 'conda.yaml'), 'dependencies: [python=3.11]')
    const settings = { ...environment, MLFLOW_CONDA_HOME: needy }
    const run_id = await newRun()
    const args = [needy, '-e', 'x.py', '--run-id', run_id]
    const { code, output } = await millraceRun(folder, args, settings)
    const run = await readRun(server.url, run_id)

    const sentence = /There is no conda, mamba or micromamba in .* use --env-manager uv/
    expect(output).toMatch(sentence)
    expect({ code, status: run.info.status }).toEqual({ code: 1, status: 'FAILED' })
    expect(reasonOf(run)).toMatch(sentence)
    expect(await readdir(join(folder, 'cache', 'envs')).catch(() => [])).toEqual([])
  })
})

describe('a tracking server', () => {
  test('that does not answer is one sentence and exit code 1', async () => {
    const settings = { MLFLOW_TRACKING_URI: 'http://127.0.0.1:9' }
    const { code, output } = await millraceRun(folder, local(), settings)

    expect(code).toBe(1)
    expect(output.trim()).toMatch(
      /^millrace: No tracking server answers at http:\/\/127\.0\.0\.1:9 .*MLFLOW_TRACKING_URI.*\.$/,
    )
  })

  test('that answers 401 is one sentence that names the variables', async () => {
    const refusing = createServer((_request, response) => response.writeHead(401).end('no'))
    await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', () => resolve()))
    const { port } = refusing.address() as AddressInfo
    const settings = { MLFLOW_TRACKING_URI: `http://127.0.0.1:${port}` }
    const { code, output } = await millraceRun(folder, local(), settings)
    refusing.close()

    expect(code).toBe(1)
    expect(output).toMatch(/answers 401: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD/)
  })
})

/** An installer that fills the disk: what uv prints then, and the half that it leaves. */
async function fakeUv(bin: string): Promise<string> {
  await mkdir(bin)
  const program = `#!/usr/bin/env python3
import os, sys
if sys.argv[1] == "venv":
    os.makedirs(sys.argv[-1] + "/bin")
elif sys.argv[1] == "pip":
    sys.exit("error: Failed to write\\n  Caused by: No space left on device (os error 28)")
`
  await writeFile(join(bin, 'uv'), program)
  await chmod(join(bin, 'uv'), 0o755)
  return bin
}
