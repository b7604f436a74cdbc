import type { Backend, ProjectJob } from './backend.ts'
import { runVariables } from './backend.ts'
import { runCommand } from './command-run.ts'
import { dockerCommand } from './docker-command.ts'
import { prepareImage, removeContainer } from './docker-image.ts'
import { type EntryCommand, entryCommand } from './entry-command.ts'
import { resolvePaths } from './parameter-values.ts'
import { chooseManager, prepareProject } from './project-environment.ts'
import type { ProjectEnding } from './tracked-run.ts'
import { startWatchdog } from './watchdog.ts'

/** Runs projects as processes of this machine, or in containers on it. */
export const localBackend: Backend = {
  check({ project, manager }) {
    if (project.environment.kind !== 'docker') chooseManager(project, manager)
  },

  async run(job) {
    const { environment, ...started } =
      job.project.environment.kind === 'docker' ? await inDocker(job) : await inEnvironment(job)
    await using resolved = await resolvePaths(job.entryPoint, job.parameters, {
      ...job,
      projectDirectory: job.project.directory,
    })
    const command = entryCommand(job.entryPoint, resolved.parameters)
    job.log(`Running '${command.shown}' in run ${job.run.run_id}`)
    const variables = { ...environment, ...command.variables }
    const ending = await start(job, started.wrap(command), variables)
    if (ending.status === 'KILLED') await started.remove?.()
    return ending
  },
}

interface Prepared {
  environment: NodeJS.ProcessEnv
  /** What to start for a command. */
  wrap: (command: EntryCommand) => EntryCommand['argv']
  /** Ends what a killed command may have left outside of its process group. */
  remove?: () => Promise<void>
}

async function inEnvironment(job: ProjectJob): Promise<Prepared> {
  const manager = chooseManager(job.project, job.manager)
  if (manager !== 'local') await job.setTag('mlflow.project.env', manager)
  const environment = await prepareProject(job.project, manager, job)
  return {
    environment: { ...environment, ...runVariables(job) },
    wrap: ({ argv }) => argv,
  }
}

async function inDocker(job: ProjectJob): Promise<Prepared> {
  await job.setTag('mlflow.project.env', 'docker')
  const image = await prepareImage(job)
  const docker = dockerCommand(job)
  return {
    environment: { ...job.environment, ...docker.variables },
    wrap: ({ argv, variables }) => [
      ...docker.argv,
      ...Object.keys(variables).flatMap((name) => ['-e', name]),
      image.tag,
      ...argv,
    ],
    remove: () => removeContainer(docker.name, job.environment),
  }
}

async function start(
  job: ProjectJob,
  argv: EntryCommand['argv'],
  environment: NodeJS.ProcessEnv,
): Promise<ProjectEnding> {
  using watchers = new DisposableStack()
  return await runCommand({
    argv,
    directory: job.project.directory,
    environment,
    signal: job.signal,
    onOutput: job.onOutput,
    onStart: (groupId) => {
      const runId = job.run.run_id
      watchers.use(
        startWatchdog({ groupId, runId, tracking: job.tracking, environment: job.environment }),
      )
    },
  })
}
