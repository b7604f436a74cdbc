import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { dockerJob, type ObservedJob } from '../test/project-jobs.ts'
import type { ProjectJob } from './backend.ts'
import { localBackend } from './local-backend.ts'

/**
 * What the docker command line does here: it notes how it was called and answers as docker does.
 * No daemon runs where these tests run.
 */
const DOCKER = `#!/usr/bin/env python3
import json, os, sys
args = sys.argv[1:]
names = [args[i + 1] for i, arg in enumerate(args) if arg == "-e" and i + 1 < len(args)]
call = {"args": args, "variables": {name: os.environ.get(name) for name in names}}
with open(os.environ["DOCKER_CALLS"], "a") as calls:
    calls.write(json.dumps(call) + "\\n")
if args[:2] == ["image", "inspect"]:
    if args[-1] in os.environ.get("DOCKER_MISSING", "") and "--format" not in args:
        sys.exit("Error: No such image: " + args[-1])
    print("sha256:" + "1" * 64 if "--format" in args else "[]")
elif args[0] == "info" and os.environ.get("DOCKER_DOWN"):
    sys.exit("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.")
elif args[0] == "run":
    print("in the container")
`

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-docker-'))
  await mkdir(join(folder, 'bin'))
  await writeFile(join(folder, 'bin', 'docker'), DOCKER, { mode: 0o755 })
})
afterEach(() => rm(folder, { recursive: true }))

function jobOf(
  command: string,
  given: Record<string, string>,
  changes: Partial<ProjectJob> = {},
): ObservedJob {
  const environment = {
    ...process.env,
    PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
    DOCKER_CALLS: join(folder, 'calls'),
    ...changes.environment,
  }
  return dockerJob(folder, command, given, { ...changes, environment })
}

interface Call {
  args: string[]
  variables: Record<string, string>
}

async function calls(verb: string): Promise<Call[]> {
  const lines = (await readFile(join(folder, 'calls'), 'utf8')).trim().split('\n')
  return lines.map((line) => JSON.parse(line) as Call).filter(({ args }) => args[0] === verb)
}

const HOSTILE = "$(touch x); it's"

describe('a project with a docker_env', () => {
  test('runs its command in a container, with values as arguments and secrets not among them', async () => {
    const { job, tags, output } = jobOf(
      'python train.py {a}',
      { a: HOSTILE },
      {
        dockerArgs: new Map<string, string | true>([
          ['gpus', 'all'],
          ['t', true],
          ['network', 'none'],
        ]),
        environment: { MLFLOW_TRACKING_TOKEN: 'secret' },
      },
    )
    const ending = await localBackend.run(job)

    expect(ending).toEqual({ status: 'FINISHED', exitCode: 0 })
    const [run] = await calls('run')
    expect(run?.args).toEqual([
      ...[
        'run',
        '--rm',
        '--name',
        `millrace-${'a'.repeat(32)}`,
        '--gpus',
        'all',
        '-t',
        '--network',
        'none',
      ],
      ...['-e', 'MLFLOW_RUN_ID', '-e', 'MLFLOW_TRACKING_URI', '-e', 'MLFLOW_EXPERIMENT_ID'],
      ...['-e', 'MLFLOW_TRACKING_TOKEN'],
      ...['registry.example/base:1', 'python', 'train.py', HOSTILE],
    ])
    expect(run?.variables).toMatchObject({
      MLFLOW_RUN_ID: 'a'.repeat(32),
      MLFLOW_TRACKING_TOKEN: 'secret',
    })
    expect(Object.fromEntries(tags)).toEqual({
      'mlflow.project.env': 'docker',
      'mlflow.docker.image.uri': 'registry.example/base:1',
      'mlflow.docker.image.id': `sha256:${'1'.repeat(64)}`,
    })
    expect(output()).toBe('in the container\n')
  })

  test('that needs a shell has it inside of the container, and values as its variables', async () => {
    const { job } = jobOf('cd /code && python train.py {a}', { a: HOSTILE })
    await localBackend.run(job)

    const [run] = await calls('run')
    expect(run?.args.slice(-3)).toEqual([
      'bash',
      '-c',
      'cd /code && python train.py "${MILLRACE_PROJECT_VALUE_0}"',
    ])
    expect(run?.variables).toMatchObject({ MILLRACE_PROJECT_VALUE_0: HOSTILE })
  })

  test('has its image pulled when it is not there', async () => {
    const { job } = jobOf('x', {}, { environment: { DOCKER_MISSING: 'registry.example/base:1' } })
    await localBackend.run(job)

    expect((await calls('pull')).map(({ args }) => args.at(-1))).toEqual([
      'registry.example/base:1',
    ])
  })

  test('is built into an image named by its commit', async () => {
    const source = { name: folder, commit: '0123456789abcdef' }
    const { job, tags } = jobOf('x', {}, { buildImage: true, source })
    await localBackend.run(job)

    const [build] = await calls('build')
    expect(build?.args).toContain('My_Project:0123456')
    expect(tags.get('mlflow.docker.image.uri')).toBe('My_Project:0123456')
  })

  test('is refused in a sentence without docker, without its daemon, and without a variable', async () => {
    const none = jobOf('x', {}, { environment: { PATH: '/none' } })
    const down = jobOf('x', {}, { environment: { DOCKER_DOWN: '1' } })
    const { project } = none.job
    const docker = { image: 'i', volumes: [], variables: [{ name: 'NOT_SET_ANYWHERE' }] }
    const unset = jobOf(
      'x',
      {},
      { project: { ...project, environment: { kind: 'docker', docker } } },
    )

    await expect(localBackend.run(none.job)).rejects.toThrow(/Could not find Docker executable/)
    await expect(localBackend.run(down.job)).rejects.toThrow(/The docker daemon does not answer/)
    await expect(localBackend.run(unset.job)).rejects.toThrow(
      /NOT_SET_ANYWHERE environment variable to be set .* but NOT_SET_ANYWHERE was not set/,
    )
  })
})
