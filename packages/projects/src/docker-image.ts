import { cp, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiError, invalid } from '@millrace/api/errors'
import { runProgram } from '@millrace/scoring/run-program'
import type { ProjectJob } from './backend.ts'

const DOCKER_CODE_DIRECTORY = '/mlflow/projects/code/'
const REMOVE_LIMIT_MS = 30_000
const DOCKERFILE = 'Dockerfile.millrace'

/** An image that a project's command can be run in. */
export interface ProjectImage {
  /** As `docker run` takes it. */
  tag: string
  id: string
}

/**
 * Pulls the image of a project or, with `--build-image`, builds one from it that holds the project's
 * files, and notes it in the run (MLflow 3.17 `build_docker_image`).
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when docker is missing, INVALID_STATE when it refuses
 */
export async function prepareImage(
  job: ProjectJob,
  repository: string | undefined = job.project.name,
): Promise<ProjectImage> {
  const { project, source, log } = job
  if (project.environment.kind !== 'docker') {
    throw invalid('The project has no docker_env in its MLproject file, which this needs.')
  }
  if (!project.name) {
    throw invalid(
      'Project name in MLProject must be specified when using docker for image tagging.',
    )
  }
  await requireDocker(job)
  const { image } = project.environment.docker
  const commit = source.commit === undefined ? '' : `:${source.commit.slice(0, 7)}`
  const tag = job.buildImage ? `${repository || 'docker-project'}${commit}` : image
  if (job.buildImage) {
    log(`Building docker image ${tag}`)
    await build(job, image, tag)
  } else if (!(await docker(job, ['image', 'inspect', '--', image])).ok) {
    log(`Pulling ${image}`)
    await mustRun(job, ['pull', '--quiet', '--', image], `docker could not pull ${image}`)
  }
  const inspect = ['image', 'inspect', '--format', '{{.Id}}', '--', tag]
  const [id = ''] = await mustRun(job, inspect, `docker knows no image ${tag}`)
  await job.setTag('mlflow.docker.image.uri', tag)
  await job.setTag('mlflow.docker.image.id', id)
  return { tag, id }
}

/** Pushes an image and gives its digest in the registry, `sha256:…`. */
export async function pushImage(job: ProjectJob, { tag }: ProjectImage): Promise<string> {
  job.log(`Pushing docker image ${tag}`)
  await mustRun(job, ['push', '--quiet', '--', tag], `docker could not push ${tag}`)
  const format = '{{range .RepoDigests}}{{println .}}{{end}}'
  const inspect = ['image', 'inspect', '--format', format, '--', tag]
  const lines = await mustRun(job, inspect, `docker knows no image ${tag}`)
  const repository = tag.replace(/:[^:/]*$/, '')
  const digest = lines.find((line) => line.startsWith(`${repository}@`))?.split('@')[1]
  if (digest) return digest
  throw new ApiError('INVALID_STATE', `The registry gave no digest for the pushed image ${tag}.`)
}

/** Ends a container that outlived the program that started it. */
export async function removeContainer(name: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const options = { environment, signal: AbortSignal.timeout(REMOVE_LIMIT_MS) }
  await runProgram('docker', ['rm', '--force', '--', name], options)
}

async function requireDocker(job: ProjectJob): Promise<void> {
  const { status, lastLines } = await runProgram('docker', ['info'], job)
  job.signal.throwIfAborted()
  if (status === 0) return
  const missing = lastLines.some((line) => /ENOENT/.test(line))
  throw invalid(
    missing
      ? 'Could not find Docker executable: the project has a docker_env, so install docker, or ' +
          'give the project a python_env.'
      : `The docker daemon does not answer: start it, or give the project a python_env. (${lastLines.at(-1)})`,
  )
}

async function build(job: ProjectJob, base: string, tag: string): Promise<void> {
  const context = await mkdtemp(join(await realpath(tmpdir()), 'millrace-image-'))
  try {
    await cp(job.project.directory, join(context, 'project'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !path.endsWith('/.git'),
    })
    const lines = [`FROM ${base}`, `COPY project/ ${DOCKER_CODE_DIRECTORY}`]
    await writeFile(
      join(context, DOCKERFILE),
      [...lines, `WORKDIR ${DOCKER_CODE_DIRECTORY}`, ''].join('\n'),
    )
    const args = ['build', '--quiet', '--force-rm', '-t', tag, '-f', join(context, DOCKERFILE)]
    await mustRun(job, [...args, '--', context], `docker could not build ${tag}`)
  } finally {
    await rm(context, { recursive: true, force: true })
  }
}

async function docker(job: ProjectJob, args: string[]) {
  const { status, lastLines } = await runProgram('docker', args, job)
  job.signal.throwIfAborted()
  return { ok: status === 0, lines: lastLines }
}

async function mustRun(job: ProjectJob, args: string[], failure: string): Promise<string[]> {
  const { ok, lines } = await docker(job, args)
  if (ok) return lines.map((line) => line.trim())
  throw new ApiError('INVALID_STATE', `${failure}: ${lines.slice(-3).join(' ')}`)
}
