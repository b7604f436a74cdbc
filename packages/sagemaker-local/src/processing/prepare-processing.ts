import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { invalid } from '@millrace/api/errors'
import { resolveImage } from '../runner/images/resolve-image.ts'
import type { InstanceSpec } from '../runner/instance/instance-spec.ts'
import { localSize } from '../runner/instance/instance-types.ts'
import { hiddenFolders, isolationFor, mlFolder } from '../runner/instance/isolation.ts'
import type { JobContext } from '../runner/job-kind.ts'
import { downloadChannel } from '../runner/training/download-channel.ts'
import { machineEnvironment } from '../runner/training/job-environment.ts'
import { giveTree } from '../runner/training/job-layout.ts'
import { JobLog } from '../runner/training/job-log.ts'
import { planCommand, planContainer } from '../runner/training/plan-launch.ts'
import { insertLogStream } from '../state/log-stream-store.ts'
import { PROCESSING_LOG_GROUP, type ProcessingJob } from './processing-job.ts'

const GRACE_MS = 120_000
const PROCESSES_MAX = 1_024
const LOG_BYTES_MAX = 256 * 2 ** 20
const GIB = 2 ** 30

/** The instances of a job and their folders. */
export function processingHosts(job: JobContext, { document }: ProcessingJob) {
  const { InstanceCount = 1 } = document.ProcessingResources.ClusterConfig
  return Array.from({ length: InstanceCount }, (_, index) => ({
    name: `algo-${index + 1}`,
    directory: join(job.directory, `algo-${index + 1}`),
  }))
}

/**
 * Makes everything that the instances of a job need, and writes what to start for each of them into
 * `plan.json` of its folder. Begins anew whatever was there.
 *
 * @throws ApiError when the client has to change something
 */
export async function prepareProcessing(
  job: JobContext,
  found: ProcessingJob,
  signal: AbortSignal,
): Promise<void> {
  const { document, arn } = found
  const isolation = isolationFor(job.number)
  if (isolation.kind === 'none') {
    throw invalid(
      'This machine has no namespaces, which a job that takes /opt/ml for its own needs.',
    )
  }
  const hosts = processingHosts(job, found)
  const { ClusterConfig } = document.ProcessingResources
  const size = localSize(ClusterConfig.InstanceType ?? 'ml.m5.large', job.settings.places)
  for (const [index, { name, directory }] of hosts.entries()) {
    await rm(directory, { recursive: true, force: true })
    await writeLayout(found, directory, { current: name, hosts: hosts.map((host) => host.name) })
    insertLogStream(job.state, {
      group: PROCESSING_LOG_GROUP,
      name: `${job.name}/${name}-${Math.floor(found.createdMs / 1000)}`,
      file: join(directory, 'output.log'),
      createdMs: found.createdMs,
    })
    const launch = await planProcessing(job, found, directory, signal)
    await downloadInputs(job, found, directory, { index, count: hosts.length })
    const userId = isolation.kind === 'namespaces' ? isolation.userId : undefined
    for (const folder of ['ml', 'tmp']) {
      await giveTree(join(directory, folder), userId, () => false)
    }
    const spec: InstanceSpec = {
      directory,
      number: job.number,
      ...launch,
      environment: {
        ...launch.environment,
        PROCESSING_JOB_NAME: job.name,
        PROCESSING_JOB_ARN: arn,
      },
      hosts: hosts.map((host, at) => ({ name: host.name, address: `127.0.1.${at + 1}` })),
      isolation,
      hasNetwork: document.NetworkConfig?.EnableNetworkIsolation !== true,
      hidden: hiddenFolders(job.settings),
      limits: {
        cpus: size.cpus,
        memoryBytes: size.memoryBytes,
        processes: PROCESSES_MAX,
        diskBytes: ClusterConfig.VolumeSizeInGB * GIB,
        logBytes: LOG_BYTES_MAX,
      },
      graceMs: GRACE_MS,
      metrics: [],
      pipes: [],
    }
    await writeFile(join(directory, 'plan.json'), JSON.stringify(spec), { mode: 0o600 })
  }
}

async function writeLayout(
  { document }: ProcessingJob,
  directory: string,
  { current, hosts }: { current: string; hosts: string[] },
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const outputs = (document.ProcessingOutputConfig?.Outputs ?? []).flatMap(({ S3Output }) =>
    S3Output?.LocalPath === undefined ? [] : [belowMl(S3Output.LocalPath)],
  )
  for (const folder of ['ml/config', 'ml/processing', 'ml/output', 'tmp', 'pipes', ...outputs]) {
    await mkdir(join(directory, folder), { recursive: true })
  }
  const { ProcessingJobStatus: _, ...config } = document
  const files = {
    'processingjobconfig.json': config,
    'resourceconfig.json': { current_host: current, hosts },
  }
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(directory, 'ml', 'config', name), JSON.stringify(content))
  }
}

async function planProcessing(
  job: JobContext,
  { document, arn }: ProcessingJob,
  directory: string,
  signal: AbortSignal,
) {
  const { AppSpecification, Environment = {} } = document
  const program = await resolveImage({
    image: AppSpecification.ImageUri,
    hasEntrypoint: AppSpecification.ContainerEntrypoint !== undefined,
    imagesFile: job.settings.imagesFile,
    images: job.images,
    program: 'train',
  })
  const region = arn.split(':')[3] ?? job.settings.region
  const { trackingUri } = job.settings
  const base = {
    ...machineEnvironment(job.settings, region),
    ...(trackingUri === undefined ? {} : { MLFLOW_TRACKING_URI: trackingUri }),
    ...Environment,
  }
  if (program.kind === 'image') {
    return planContainer(job, program, AppSpecification, { base, own: Environment })
  }
  if (program.kind !== 'command') throw needsEntrypoint(AppSpecification.ImageUri)
  const log = new JobLog(join(directory, 'output.log'))
  const { environment } = job.settings
  const options = { environment, signal, log: (line: string) => log.say(line) }
  return planCommand(AppSpecification, {
    directory,
    base,
    options,
    ml: mlFolder(isolationFor(job.number), join(directory, 'ml')),
    wanted: program.python,
  })
}

/** An image that is not here as an image has no program of its own. */
export function needsEntrypoint(image: string) {
  return invalid(
    `What the image ${image} runs is not known here: name a command (ContainerEntrypoint), as the ` +
      'ScriptProcessor of the SDK does, or push the image to the registry here.',
  )
}

async function downloadInputs(
  job: JobContext,
  { document }: ProcessingJob,
  directory: string,
  shard: { index: number; count: number },
): Promise<void> {
  for (const { InputName, S3Input } of document.ProcessingInputs ?? []) {
    if (S3Input?.LocalPath === undefined) continue
    const { S3DataDistributionType = 'FullyReplicated', S3DataType, S3Uri } = S3Input
    await downloadChannel(
      job.objects,
      {
        ChannelName: InputName,
        DataSource: { S3DataSource: { S3DataType, S3Uri, S3DataDistributionType } },
        CompressionType: S3Input.S3CompressionType ?? 'None',
      },
      join(directory, belowMl(S3Input.LocalPath)),
      shard,
    )
  }
}

/** A path of the job's as it lies in the folder of the instance. */
function belowMl(path: string): string {
  return path.replace(/^\/opt\/ml/, 'ml')
}
