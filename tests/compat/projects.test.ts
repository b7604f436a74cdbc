import { execFileSync, spawn } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@millrace/client/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pythonOf } from '../../tools/setup/python-environments.ts'
import { millraceRun, projectEnvironment, readRun } from './millrace-run.ts'
import { type RunningServer, signalGroup, startServer } from './server.ts'

const PROJECT = `
name: compared
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.50}
      ratio: float
      rate: {type: float, default: 1e-3}
      data: {type: path, default: data.txt}
      where: {type: uri, default: "s3://bucket/key"}
      flag: {default: yes}
    command: "python say.py {alpha} {ratio} --where={where}"
  fail:
    command: "python say.py && exit 3"
  steps:
    command: "python steps.py"
  show:
    parameters: {data: path}
    command: "python show.py {data}"
`
const SAY = 'import sys; print("said", sys.argv[1:])\n'
const STEPS = `
import mlflow
with mlflow.start_run():
    mlflow.projects.run(".", "say.py", env_manager="local", parameters={"of": "the parent"})
`

/** Prints the files at a path with what is in them. */
const SHOW = `
import pathlib, sys
path = pathlib.Path(sys.argv[1])
files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
print(path)
print("<" + "|".join(f"{one.relative_to(path.parent)}: {one.read_text()}" for one in files) + ">")
`

let server: RunningServer
let folder: string
let environment: Record<string, string>
let daemon: { url: string; pid: number | undefined }

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'millrace-projects-')))
  await writeProject(join(folder, 'plain'))
  await writeFile(join(folder, 'data.txt'), '')
  await makeRepository()
  daemon = await startDaemon()
  server = await startServer()
  environment = { MLFLOW_TRACKING_URI: server.url }
})
afterAll(async () => {
  signalGroup(daemon?.pid, 'SIGKILL')
  await server?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

interface Case {
  name: string
  /** As `mlflow.projects.run` takes them. */
  stock: Record<string, unknown>
  /** As the command line takes them. */
  ours: string[]
}

const inFolder = (...path: string[]) => join(folder, ...path)
const PARAMETERS = { ratio: 'a b; $(c)', undeclared: 'é' }
const FLAGS = Object.entries(PARAMETERS).flatMap(([key, value]) => ['-P', `${key}=${value}`])

const cases = (): Case[] => [
  {
    name: 'a directory, with values that need quotes',
    stock: { uri: inFolder('plain'), parameters: PARAMETERS },
    ours: [inFolder('plain'), ...FLAGS],
  },
  {
    name: 'a script without an entry point, in an experiment by name, with a name',
    stock: {
      uri: inFolder('plain'),
      entry_point: 'say.py',
      experiment_name: 'compared',
      run_name: 'named',
    },
    ours: [
      inFolder('plain'),
      ...['-e', 'say.py', '--experiment-name', 'compared', '--run-name', 'named'],
    ],
  },
  {
    name: 'a directory of a repository',
    stock: { uri: inFolder('repo', 'inner'), parameters: PARAMETERS },
    ours: [inFolder('repo', 'inner'), ...FLAGS],
  },
  {
    name: 'a command that fails',
    stock: { uri: inFolder('plain'), entry_point: 'fail' },
    ours: [inFolder('plain'), '-e', 'fail'],
  },
  {
    name: 'a branch of a remote repository, in a subdirectory',
    stock: { uri: `${daemon.url}#inner`, version: 'side', parameters: PARAMETERS },
    ours: [`${daemon.url}#inner`, '-v', 'side', ...FLAGS],
  },
  {
    name: 'the head of a remote repository',
    stock: { uri: `${daemon.url}#inner`, entry_point: 'say.py' },
    ours: [`${daemon.url}#inner`, '-e', 'say.py'],
  },
]

/** What is the same of a run whoever made it. */
function facts({ info, params, tags }: Awaited<ReturnType<typeof readRun>>, isNamed: boolean) {
  const { 'mlflow.runName': name, 'millrace.project.failureReason': _reason, ...rest } = tags
  const { status, user_id, experiment_id, lifecycle_stage } = info
  return {
    params,
    tags: isNamed ? { ...rest, name, title: info.run_name } : rest,
    info: { status, user_id, experiment_id, lifecycle_stage, hasEnd: info.end_time !== undefined },
  }
}

test('a run made by millrace is the run that mlflow makes, field by field', async () => {
  const all = cases()
  const stock = await stockRuns(all.map((one) => one.stock))
  for (const [i, { name, ours, stock: wanted }] of all.entries()) {
    const { output } = await millraceRun(folder, [...ours, '--env-manager', 'local'], environment)
    const [, runId = ''] = /Run ([0-9a-f]{32}) F/.exec(output) ?? []
    const isNamed = 'run_name' in wanted

    const made = facts(await readRun(server.url, runId), isNamed)
    expect({ name, ...made }).toEqual({
      name,
      ...facts(await readRun(server.url, stock[i] ?? ''), isNamed),
    })
    // The two cannot be the same by both being empty.
    expect(made.tags).toMatchObject({
      'mlflow.user': 'somebody',
      'mlflow.source.type': 'PROJECT',
      'mlflow.project.backend': 'local',
    })
  }
}, 360_000)

describe('millrace run', () => {
  test('ends with the exit code of the command, and says why in a tag', async () => {
    const args = [join(folder, 'plain'), '-e', 'fail', '--env-manager', 'local']
    const { code, output } = await millraceRun(folder, args, environment)
    const [, runId = ''] = /Run ([0-9a-f]{32}) FAILED/.exec(output) ?? []

    const { info, tags } = await readRun(server.url, runId)
    expect({ code, status: info.status, reason: tags['millrace.project.failureReason'] }).toEqual({
      code: 3,
      status: 'FAILED',
      reason: 'The command ended with exit code 3.',
    })
  })

  test('keeps what the project writes as an artifact', async () => {
    const args = [join(folder, 'plain'), '-e', 'say.py', '-P', 'a=b c', '--env-manager', 'local']
    const { output } = await millraceRun(folder, args, environment)
    const [, run_id = ''] = /Run ([0-9a-f]{32}) FINISHED/.exec(output) ?? []
    const { files } = await createClient({ baseUrl: server.url }).artifacts.list({
      run_id,
      path: 'logs',
    })
    const path = files?.[0]?.path ?? ''
    const kept = await fetch(`${server.url}/get-artifact?run_id=${run_id}&path=${path}`)

    expect(path).toMatch(/^logs\/project-\d{8}T\d{6}Z\.log$/)
    expect(await kept.text()).toBe("said ['--a', 'b c']\n")
    expect(output).toContain("said ['--a', 'b c']\n")
  })

  test('fetches a path that is elsewhere: a file or a directory of a run, or a file by HTTP', async () => {
    const { files, runId } = await runWithArtifacts()
    const page = createHttpServer((_request, response) => response.end('by HTTP'))
    await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', () => resolve()))
    const { port } = page.address() as AddressInfo
    const sources = {
      [`runs:/${runId}/data/a.txt`]: 'a.txt: in a',
      [`runs:/${runId}/data`]: 'data/a.txt: in a|data/deeper/b.txt: in b',
      [`${files}/data/a.txt`]: 'a.txt: in a',
      [`http://127.0.0.1:${port}/page.txt?x=1`]: 'page.txt: by HTTP',
    }
    for (const [uri, expected] of Object.entries(sources)) {
      const storage = ['--storage-dir', join(folder, 'storage')]
      const args = [join(folder, 'plain'), '-e', 'show', '-P', `data=${uri}`, ...storage]
      const { output } = await millraceRun(folder, [...args, '--env-manager', 'local'], environment)

      expect(output).toContain(`<${expected}>`)
      expect(output).toContain(join(folder, 'storage', 'millrace-storage-'))
    }
    page.close()
  }, 360_000)

  test('is the parent of the runs that its project makes with the stock client', async () => {
    const args = [join(folder, 'plain'), '-e', 'steps', '--env-manager', 'local']
    const { output } = await millraceRun(folder, args, environment)
    const [, runId = ''] = /Run ([0-9a-f]{32}) FINISHED/.exec(output) ?? []
    const { runs = [] } = await createClient({ baseUrl: server.url }).runs.search({
      experiment_ids: ['0'],
      filter: `tags.mlflow.parentRunId = '${runId}'`,
    })

    expect(runs.map(({ data }) => data.params)).toEqual([[{ key: 'of', value: "'the parent'" }]])
  })
})

/** A run with two files, and where they are. */
async function runWithArtifacts() {
  const { run } = await createClient({ baseUrl: server.url }).runs.create({ experiment_id: '0' })
  const files = run.info.artifact_uri
  const path = files.replace(/^mlflow-artifacts:\/*/, '')
  for (const [name, body] of [
    ['data/a.txt', 'in a'],
    ['data/deeper/b.txt', 'in b'],
  ]) {
    const url = `${server.url}/api/2.0/mlflow-artifacts/artifacts/${path}/${name}`
    expect((await fetch(url, { method: 'PUT', body: body ?? '' })).ok).toBe(true)
  }
  return { files, runId: run.info.run_id }
}

async function writeProject(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, 'MLproject'), PROJECT)
  await writeFile(join(directory, 'say.py'), SAY)
  await writeFile(join(directory, 'steps.py'), STEPS)
  await writeFile(join(directory, 'show.py'), SHOW)
}

async function makeRepository(): Promise<void> {
  const repo = join(folder, 'repo')
  await writeProject(join(repo, 'inner'))
  const git = (...args: string[]) =>
    execFileSync(
      'git',
      ['-c', 'user.name=a', '-c', 'user.email=a@b.example', '-C', repo, ...args],
      {
        env: projectEnvironment(folder),
      },
    )
  git('init', '-q', '-b', 'main')
  git('add', '-A')
  git('commit', '-q', '-m', 'first')
  git('checkout', '-q', '-b', 'side')
  await writeFile(join(repo, 'side'), '')
  git('add', '-A')
  git('commit', '-q', '-m', 'side')
  git('checkout', '-q', 'main')
  git('remote', 'add', 'origin', 'https://user:secret@git.example/team/repo.git')
}

/** Serves the repository by git's own protocol. */
async function startDaemon(): Promise<{ url: string; pid: number | undefined }> {
  const port = await new Promise<number>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
  const args = ['daemon', '--export-all', '--reuseaddr', '--listen=127.0.0.1', `--port=${port}`]
  const child = spawn('git', [...args, `--base-path=${folder}`, folder], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: projectEnvironment(folder),
  })
  const url = `git://127.0.0.1:${port}/repo`
  const isUp = () => {
    try {
      execFileSync('git', ['ls-remote', url], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  }
  for (let tries = 0; !isUp(); tries += 1) {
    if (tries > 100) throw new Error('git daemon does not answer')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return { url, pid: child.pid }
}

async function stockRuns(all: Record<string, unknown>[]): Promise<string[]> {
  const script = join(import.meta.dirname, 'scripts', 'project_stock_runs.py')
  const wanted = all.map((one) => ({ ...one, env_manager: 'local' }))
  const child = spawn(pythonOf('mlflow-3.17.2'), [script, JSON.stringify(wanted)], {
    cwd: folder,
    env: { ...projectEnvironment(folder), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let complaint = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  await new Promise((resolve) => child.once('close', resolve))
  const line = output.split('\n').findLast((line) => line.startsWith('["'))
  if (line === undefined) throw new Error(`The stock client failed:\n${complaint}`)
  return JSON.parse(line) as string[]
}
