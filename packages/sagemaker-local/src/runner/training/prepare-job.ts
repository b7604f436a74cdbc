import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { invalid } from '@millrace/api/errors'
import { insertLogStream } from '../../state/log-stream-store.ts'
import { metricDefinitionsOf } from '../images/built-in-metrics.ts'
import { type Program, resolveImage } from '../images/resolve-image.ts'
import type { InstanceSpec } from '../instance/instance-spec.ts'
import { localSize } from '../instance/instance-types.ts'
import { hiddenFolders, isolationFor, mlFolder } from '../instance/isolation.ts'
import type { JobContext } from '../job-kind.ts'
import { restoreCheckpoints } from './checkpoints.ts'
import { downloadChannel } from './download-channel.ts'
import { type HostConfig, platformEnvironment } from './job-environment.ts'
import { giveTree, hostDirectory, inputMode, writeLayout } from './job-layout.ts'
import { JobLog } from './job-log.ts'
import { LOG_GROUP } from './log-group.ts'
import { type Launch, planLaunch } from './plan-launch.ts'
import { moveTo, type TrainingJob, updateTrainingJob } from './training-job.ts'

const GRACE_MS = 120_000
const PROCESSES_MAX = 1_024
const LOG_BYTES_MAX = 256 * 2 ** 20
const MIB = 2 ** 20
const GIB = 2 ** 30
const VOLUME_GIB = 30

/** The instances of a job by their names, `algo-1` and so on, each with its type. */
export function hostsOf({
  document,
}: TrainingJob): { name: string; type: string; group: string }[] {
  const { InstanceGroups, InstanceType, InstanceCount } = document.ResourceConfig
  const groups = InstanceGroups?.map(({ InstanceType, InstanceCount, InstanceGroupName }) => ({
    type: InstanceType,
    count: InstanceCount,
    group: InstanceGroupName,
  })) ?? [
    { type: InstanceType ?? 'ml.m5.large', count: InstanceCount ?? 1, group: 'homogeneousCluster' },
  ]
  return groups
    .flatMap(({ type, count, group }) => Array.from({ length: count }, () => ({ type, group })))
    .map((host, index) => ({ name: `algo-${index + 1}`, ...host }))
}

/**
 * Makes everything that the instances of a job need, and writes what to start for each of them into
 * `plan.json` of its folder. Begins anew whatever was there.
 */
export async function prepareJob(
  job: JobContext,
  training: TrainingJob,
  region: string,
  signal: AbortSignal,
): Promise<void> {
  const { document, progress } = training
  await rm(join(job.directory, `attempt-${progress.attempt}`), { recursive: true, force: true })
  const isolation = isolationFor(job.number)
  const names = hostsOf(training)
  const hosts = names.map(({ name, type, group }) => {
    const directory = hostDirectory(job.directory, progress.attempt, name)
    const config: HostConfig = {
      hosts: names.map((host) => host.name),
      current: name,
      instanceType: type,
      groupName: group,
      ml: mlFolder(isolation, join(directory, 'ml')),
      cpus: localSize(type, job.settings.places).cpus,
    }
    return { name, type, directory, config }
  })
  for (const { directory, config } of hosts) {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await writeLayout(directory, document, config)
  }
  openStreams(job, training, hosts)
  const delay = Number(progress.faults['start-delay-seconds'] ?? 0)
  if (delay > 0) await wait(delay * 1000, undefined, { signal })

  const program = await resolveImage({
    image: document.AlgorithmSpecification.TrainingImage,
    hasEntrypoint: document.AlgorithmSpecification.ContainerEntrypoint !== undefined,
    imagesFile: job.settings.imagesFile,
    images: job.images,
    program: 'train',
  })
  if (isolation.kind === 'none') checkUnprotected(training, program)
  move(job, 'DownloadingTrainingImage', 'Making the environment of the training image')
  const log = new JobLog(join(hosts[0]?.directory ?? '', 'output.log'))
  const { environment } = job.settings
  const options = { environment, signal, log: (line: string) => log.say(line) }
  const base = platformEnvironment(job.settings, training, region)
  const planned: ((typeof hosts)[number] & { launch: Launch })[] = []
  for (const host of hosts) {
    const launch = await planLaunch(job, training, { ...host, program, base, options })
    planned.push({ ...host, launch })
  }
  move(job, 'Downloading', 'Downloading input data')
  const userId = isolation.kind === 'namespaces' ? isolation.userId : undefined
  for (const [index, { directory, type, launch }] of planned.entries()) {
    await downloadInputs(job, training, directory, { index, count: hosts.length })
    const inputs = join(directory, 'ml', 'input', 'data')
    await giveTree(join(directory, 'ml'), userId, (path) => isFastFile(training, path, inputs))
    await giveTree(join(directory, 'tmp'), userId, () => false)
    const spec: InstanceSpec = {
      directory,
      number: job.number,
      ...launch,
      hosts: hosts.map(({ name }, at) => ({ name, address: `127.0.1.${at + 1}` })),
      isolation,
      hasNetwork: document.EnableNetworkIsolation !== true,
      hidden: hiddenFolders(job.settings),
      limits: limitsOf(training, type, job.settings.places),
      graceMs: GRACE_MS,
      metrics: metricDefinitionsOf(document),
      pipes: pipesOf(training),
    }
    await writeFile(join(directory, 'plan.json'), JSON.stringify(spec), { mode: 0o600 })
  }
}

/** Refuses what only works in namespaces. */
function checkUnprotected({ document }: TrainingJob, program: Program): void {
  const needed =
    document.EnableNetworkIsolation === true
      ? 'the network isolation that is asked for'
      : program.kind === 'command' || program.kind === 'image'
        ? 'a job that takes /opt/ml for its own'
        : undefined
  if (needed === undefined) return
  throw invalid(
    `This machine has no namespaces for ${needed}. Scripts in framework images and folders (local:) run ` +
      'on it, without network isolation; Linux with the program unshare runs everything.',
  )
}

/** Makes the logs of the instances known, also before there is anything in them. */
function openStreams(
  job: JobContext,
  { document, createdMs: jobMs }: TrainingJob,
  hosts: { name: string; directory: string }[],
): void {
  // The same each time that the attempt is prepared: what it prints is one stream.
  const start = document.SecondaryStatusTransitions.findLast(({ Status }) => Status === 'Starting')
  const createdMs = start === undefined ? jobMs : Math.round(start.StartTime * 1000)
  for (const { name, directory } of hosts) {
    insertLogStream(job.state, {
      group: LOG_GROUP,
      name: `${job.name}/${name}-${Math.floor(createdMs / 1000)}`,
      file: join(directory, 'output.log'),
      createdMs,
    })
  }
}

function limitsOf({ document, progress }: TrainingJob, type: string, places: number) {
  const { cpus, memoryBytes } = localSize(type, places)
  const { faults } = progress
  const memory = Number(faults['memory-megabytes'] ?? 0) * MIB
  const disk = Number(faults['disk-megabytes'] ?? 0) * MIB
  const volumeBytes = (document.ResourceConfig.VolumeSizeInGB || VOLUME_GIB) * GIB
  return {
    cpus,
    memoryBytes: memory || memoryBytes,
    processes: Number(faults['processes'] ?? PROCESSES_MAX),
    diskBytes: disk || volumeBytes,
    logBytes: Number(faults['log-megabytes'] ?? 0) * MIB || LOG_BYTES_MAX,
  }
}

async function downloadInputs(
  job: JobContext,
  training: TrainingJob,
  directory: string,
  shard: { index: number; count: number },
): Promise<void> {
  const { document } = training
  for (const channel of document.InputDataConfig ?? []) {
    const isPipe = inputMode(channel, document) === 'Pipe'
    const folder = isPipe ? join(directory, 'pipes') : join(directory, 'ml', 'input', 'data')
    await downloadChannel(job.objects, channel, join(folder, channel.ChannelName), shard)
  }
  const checkpoints = document.CheckpointConfig
  if (checkpoints) {
    await restoreCheckpoints(job.objects, checkpoints.S3Uri, join(directory, 'ml', 'checkpoints'))
  }
}

function isFastFile({ document }: TrainingJob, path: string, inputs: string): boolean {
  if (!path.startsWith(`${inputs}/`)) return false
  const name = path.slice(inputs.length + 1).split('/')[0]
  const channel = document.InputDataConfig?.find(({ ChannelName }) => ChannelName === name)
  return channel !== undefined && inputMode(channel, document) === 'FastFile'
}

function pipesOf({ document }: TrainingJob) {
  return (document.InputDataConfig ?? [])
    .filter((channel) => inputMode(channel, document) === 'Pipe')
    .map(({ ChannelName, RecordWrapperType }) => ({
      channel: ChannelName,
      isRecordIo: RecordWrapperType === 'RecordIO',
    }))
}

function move(
  job: JobContext,
  status: 'DownloadingTrainingImage' | 'Downloading',
  message: string,
) {
  updateTrainingJob(job.state, job.name, (training) => {
    const { TrainingJobStatus, SecondaryStatus } = training.document
    // What is made before there is a place is not seen: the job waits.
    if (TrainingJobStatus !== 'InProgress' || SecondaryStatus === 'Pending') return false
    moveTo(training, status, message)
    if (status === 'Downloading') training.document.TrainingStartTime ??= Date.now() / 1000
  })
}
