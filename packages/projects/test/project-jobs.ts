import { parseTrackingUri } from '@millrace/models/tracking-server'
import type { ProjectJob } from '../src/backend.ts'
import { chooseParameters } from '../src/entry-command.ts'
import type { EntryPoint, Project } from '../src/mlproject-file.ts'

/** What a backend was given and what it did with it. */
export interface ObservedJob {
  job: ProjectJob
  tags: Map<string, string>
  output(): string
  logged: string[]
}

/** A job of one command in a project with a docker_env, for a run on a server nobody asks. */
export function dockerJob(
  directory: string,
  command: string,
  given: Record<string, string>,
  changes: Partial<ProjectJob> = {},
): ObservedJob {
  const parameters = new Map(Object.keys(given).map((name) => [name, { type: 'string' }]))
  const entryPoint: EntryPoint = { name: 'main', command, parameters }
  const project: Project = {
    directory,
    name: 'My_Project',
    entryPoints: new Map([['main', entryPoint]]),
    environment: {
      kind: 'docker',
      docker: { image: 'registry.example/base:1', volumes: [], variables: [] },
    },
  }
  const tags = new Map<string, string>()
  const logged: string[] = []
  let written = ''
  const job: ProjectJob = {
    project,
    uri: directory,
    version: undefined,
    source: { name: directory },
    entryPoint,
    parameters: chooseParameters(entryPoint, new Map(Object.entries(given))),
    run: {
      run_id: 'a'.repeat(32),
      run_uuid: 'a'.repeat(32),
      run_name: 'a-run',
      experiment_id: '7',
      user_id: '',
      status: 'RUNNING',
      start_time: 0,
      artifact_uri: 'mlflow-artifacts:/7/a/artifacts',
      lifecycle_stage: 'active',
    },
    tracking: parseTrackingUri('http://127.0.0.1:9', {}),
    trackingUri: 'http://127.0.0.1:9',
    config: {},
    manager: undefined,
    storageDirectory: undefined,
    buildImage: false,
    dockerArgs: new Map(),
    stores: {},
    environment: { ...process.env },
    signal: new AbortController().signal,
    log: (line) => logged.push(line),
    onOutput: (chunk) => {
      written += chunk.toString()
    },
    setTag: async (key, value) => {
      tags.set(key, value)
    },
    ...changes,
  }
  return { job, tags, logged, output: () => written }
}
