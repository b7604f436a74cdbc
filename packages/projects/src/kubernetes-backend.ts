import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import {
  ApiException,
  BatchV1Api,
  CoreV1Api,
  KubeConfig,
  Observable,
  type ObservableMiddleware,
  type V1Job,
} from '@kubernetes/client-node'
import { ApiError, invalid } from '@millrace/api/errors'
import type { Backend, ProjectJob } from './backend.ts'
import { runVariables } from './backend.ts'
import { interruptionOf, stoppedEnding } from './command-run.ts'
import { prepareImage, pushImage } from './docker-image.ts'
import { entryCommand } from './entry-command.ts'
import { jobOf, type KubernetesConfig, readKubernetesConfig } from './kubernetes-job.ts'
import { resolvePaths } from './parameter-values.ts'
import { type LogLook, podLogs } from './pod-logs.ts'
import type { ProjectEnding } from './tracked-run.ts'

const POLL_MS = 2_000
// A cluster's API may be away for as long as its control plane restarts.
const FAILURES_MAX = 30

/**
 * Runs projects with a docker_env as jobs of a Kubernetes cluster. Without `--build-image` the
 * cluster pulls the image that the project names, and docker is not needed here; with it an image
 * with the project's files is built and pushed first.
 */
export const kubernetesBackend: Backend = {
  check({ project, config }) {
    readKubernetesConfig(config)
    if (project.environment.kind !== 'docker' || !project.name) {
      throw invalid(
        'The kubernetes backend needs a project with a name and a docker_env in its MLproject file.',
      )
    }
  },

  async run(job) {
    const config = readKubernetesConfig(job.config)
    await job.setTag('mlflow.project.env', 'docker')
    const cluster = openCluster(config, job.environment)
    await using resolved = await resolvePaths(job.entryPoint, job.parameters, {
      ...job,
      projectDirectory: job.project.directory,
    })
    const command = entryCommand(job.entryPoint, resolved.parameters)
    const definition = jobOf(config.template, {
      projectName: job.project.name ?? '',
      image: await imageOf(job, config),
      command: command.argv,
      variables: { ...command.variables, ...clusterVariables(job) },
      startedAt: new Date(),
    })
    return await runJob(cluster, definition, job)
  },
}

interface Cluster {
  batch: BatchV1Api
  pods: CoreV1Api
}

function openCluster({ context }: KubernetesConfig, environment: NodeJS.ProcessEnv): Cluster {
  const config = new KubeConfig()
  const [named] = (environment['KUBECONFIG'] ?? '').split(delimiter)
  const file = named || join(homedir(), '.kube', 'config')
  if (existsSync(file)) config.loadFromFile(file)
  else if (environment['KUBERNETES_SERVICE_HOST']) config.loadFromCluster()
  else {
    throw invalid(
      `There is no ${file}, and this does not run in a cluster: set KUBECONFIG to the file that ` +
        'says how the cluster is reached.',
    )
  }
  if (context !== undefined) {
    if (!config.getContextObject(context)) {
      const names = config.getContexts().map(({ name }) => name)
      throw invalid(`There is no context '${context}' in ${file}, only: ${names.join(', ')}.`)
    }
    config.setCurrentContext(context)
  }
  return {
    batch: config.makeApiClient(BatchV1Api),
    pods: config.makeApiClient(CoreV1Api),
  }
}

async function imageOf(job: ProjectJob, config: KubernetesConfig): Promise<string> {
  const { environment } = job.project
  if (!job.buildImage && environment.kind === 'docker') {
    await job.setTag('mlflow.docker.image.uri', environment.docker.image)
    return environment.docker.image
  }
  const image = await prepareImage(job, config.repository)
  const digest = await pushImage(job, image)
  await job.setTag('mlflow.docker.image.id', digest)
  return `${image.tag}@${digest}`
}

/** A server that is `localhost` here has another name in the cluster. */
function clusterVariables(job: ProjectJob): Record<string, string> {
  const uri = job.environment['KUBE_MLFLOW_TRACKING_URI']
  return { ...runVariables(job), ...(uri && { MLFLOW_TRACKING_URI: uri }) }
}

async function runJob(
  cluster: Cluster,
  definition: V1Job,
  job: ProjectJob,
): Promise<ProjectEnding> {
  const { name = '', namespace = 'default' } = definition.metadata ?? {}
  job.log(`Creating job ${name} in namespace ${namespace}`)
  await cluster.batch
    .createNamespacedJob(
      { namespace, body: definition, fieldValidation: 'Strict' },
      { middleware: [wholeBody(definition)], middlewareMergeStrategy: 'append' },
    )
    .catch((error: unknown) => {
      throw new ApiError('INVALID_STATE', `The cluster refuses job ${name}: ${reasonOf(error)}`)
    })
  const pods = { name, namespace, container: containerOf(definition) }
  const look = podLogs(cluster.pods, pods, job)
  try {
    return await watchJob(cluster, { name, namespace }, look, job.signal)
  } catch (error) {
    if (!job.signal.aborted) throw error
    await cluster.batch.deleteNamespacedJob({ name, namespace, propagationPolicy: 'Background' })
    job.log(`Job ${name} is deleted.`)
    return stoppedEnding(interruptionOf(job.signal))
  } finally {
    await look()
  }
}

/**
 * Sends a job as it is. The library alone would leave out what it has no name for, such as a field of
 * a newer cluster or a misspelt one, and the cluster would have nothing to refuse.
 */
function wholeBody(definition: V1Job): ObservableMiddleware {
  return {
    pre(request) {
      request.setBody(JSON.stringify(definition))
      return new Observable(Promise.resolve(request))
    },
    post: (response) => new Observable(Promise.resolve(response)),
  }
}

async function watchJob(
  { batch }: Cluster,
  named: Named,
  look: LogLook,
  signal: AbortSignal,
): Promise<ProjectEnding> {
  for (let failures = 0; ; await wait(POLL_MS, undefined, { signal })) {
    try {
      const { status } = await batch.readNamespacedJobStatus(named)
      failures = 0
      const ended = status?.conditions?.find(
        ({ type, status }) => status === 'True' && /^(?:Complete|Failed)$/.test(type),
      )
      if (ended) return endingOf(ended.type, ended.message ?? ended.reason)
    } catch (error) {
      failures += 1
      const isFinal = error instanceof ApiException && error.code >= 400 && error.code < 429
      if (isFinal || failures > FAILURES_MAX) {
        throw new ApiError('INVALID_STATE', `Job ${named.name} is lost: ${reasonOf(error)}`)
      }
    }
    await look()
  }
}

interface Named {
  name: string
  namespace: string
}

function endingOf(type: string, message: string | undefined): ProjectEnding {
  if (type === 'Complete') return { status: 'FINISHED', exitCode: 0 }
  const reason = `The job failed: ${message ?? 'kubernetes does not say why'}.`
  return { status: 'FAILED', exitCode: 1, reason }
}

function containerOf(definition: V1Job): string {
  return definition.spec?.template.spec?.containers[0]?.name ?? ''
}

function reasonOf(error: unknown): string {
  if (!(error instanceof ApiException))
    return error instanceof Error ? error.message : String(error)
  try {
    const { message } = JSON.parse(String(error.body)) as { message?: string }
    return `${error.code} ${message ?? error.message}`
  } catch {
    return `${error.code} ${String(error.body).slice(0, 300)}`
  }
}
