import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { insertLogStream } from '../../state/log-stream-store.ts'
import { type JobPython, layerPython, preparePip, preparePython } from '../images/job-python.ts'
import { type Program, resolveImage } from '../images/resolve-image.ts'
import type { InstanceSpec } from '../instance/instance-spec.ts'
import { localSize } from '../instance/instance-types.ts'
import { hiddenFolders, isolationFor, mlFolder } from '../instance/isolation.ts'
import type { JobContext } from '../job-kind.ts'
import { restoreCheckpoints } from './checkpoints.ts'
import { downloadChannel } from './download-channel.ts'
import { fetchCode } from './fetch-code.ts'
import { type HostConfig, platformEnvironment, scriptEnvironment } from './job-environment.ts'
import { giveTree, hostDirectory, inputDataConfig, inputMode, writeLayout } from './job-layout.ts'
import { JobLog } from './job-log.ts'
import { LOG_GROUP } from './log-group.ts'
import { planScript, scriptArguments, scriptSettings, scriptSteps } from './script-mode.ts'
import { moveTo, type TrainingJob, updateTrainingJob } from './training-job.ts'

const GRACE_MS = 120_000
const PROCESSES_MAX = 1_024
const LOG_BYTES_MAX = 256 * 2 ** 20
const GIB = 2 ** 30
const VOLUME_GIB = 30
const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** What is started for one instance of a job. */
interface Launch {
  steps: string[][]
  workingDirectory: string
  environment: Record<string, string>
  visible: string[]
}

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
  const attemptFolder = join(job.directory, `attempt-${progress.attempt}`)
  await rm(attemptFolder, { recursive: true, force: true })
  const hosts = hostsOf(training)
  const isolation = isolationFor(job.number)
  const directories = hosts.map(({ name }) => hostDirectory(job.directory, progress.attempt, name))
  await Promise.all(
    directories.map((directory) => mkdir(directory, { recursive: true, mode: 0o700 })),
  )
  const startedMs = Date.now()
  for (const [index, { name }] of hosts.entries()) {
    insertLogStream(job.state, {
      group: LOG_GROUP,
      name: `${job.name}/${name}-${Math.floor(startedMs / 1000)}`,
      file: join(directories[index] ?? '', 'output.log'),
      createdMs: startedMs,
    })
  }
  const delay = Number(progress.faults['start-delay-seconds'] ?? 0)
  if (delay > 0) await wait(delay * 1000, undefined, { signal })

  const configs = hosts.map(
    ({ name, type, group }, index): HostConfig => ({
      hosts: hosts.map((host) => host.name),
      current: name,
      instanceType: type,
      groupName: group,
      ml: mlFolder(isolation, join(directories[index] ?? '', 'ml')),
      cpus: localSize(type, job.settings.places).cpus,
    }),
  )
  for (const [index, config] of configs.entries()) {
    await writeLayout(directories[index] ?? '', document, config)
  }
  const program = await resolveImage({
    image: document.AlgorithmSpecification.TrainingImage,
    hasEntrypoint: document.AlgorithmSpecification.ContainerEntrypoint !== undefined,
    imagesFile: job.settings.imagesFile,
    program: 'train',
  })
  move(job, 'DownloadingTrainingImage', 'Making the environment of the training image')
  const log = new JobLog(join(directories[0] ?? '', 'output.log'))
  const options = {
    environment: job.settings.environment,
    signal,
    log: (line: string) => log.say(line),
  }
  const launches: Launch[] = []
  for (const [index, config] of configs.entries()) {
    const directory = directories[index] ?? ''
    const base = platformEnvironment(job.settings, training, region)
    launches.push(await planLaunch(job, training, { program, config, directory, base, options }))
  }
  move(job, 'Downloading', 'Downloading input data')
  for (const [index, directory] of directories.entries()) {
    await downloadInputs(job, training, directory, { index, count: hosts.length })
    const userId = isolation.kind === 'namespaces' ? isolation.userId : undefined
    const inputs = join(directory, 'ml', 'input', 'data')
    await giveTree(join(directory, 'ml'), userId, (path) => isFastFile(training, path, inputs))
    await giveTree(join(directory, 'tmp'), userId, () => false)
  }
  for (const [index, launch] of launches.entries()) {
    const directory = directories[index] ?? ''
    const size = localSize(hosts[index]?.type ?? '', job.settings.places)
    const volume = document.ResourceConfig.VolumeSizeInGB || VOLUME_GIB
    const limit = Number(progress.faults['memory-megabytes'] ?? 0) * 2 ** 20
    const spec: InstanceSpec = {
      directory,
      ...launch,
      hosts: hosts.map(({ name }, at) => ({ name, address: `127.0.1.${at + 1}` })),
      isolation,
      hasNetwork: document.EnableNetworkIsolation !== true,
      hidden: hiddenFolders(job.settings),
      limits: {
        memoryBytes: limit > 0 ? limit : size.memoryBytes,
        processes: PROCESSES_MAX,
        diskBytes: Number(progress.faults['disk-megabytes'] ?? 0) * 2 ** 20 || volume * GIB,
        logBytes: LOG_BYTES_MAX,
        cpus: size.cpus,
      },
      graceMs: GRACE_MS,
      metrics: document.AlgorithmSpecification.MetricDefinitions ?? [],
      pipes: pipesOf(training),
    }
    await writeFile(join(directory, 'plan.json'), JSON.stringify(spec), { mode: 0o600 })
  }
}

interface LaunchOptions {
  program: Program
  config: HostConfig
  directory: string
  base: Record<string, string>
  options: { environment: Record<string, string>; signal: AbortSignal; log: (line: string) => void }
}

async function planLaunch(
  job: JobContext,
  { document }: TrainingJob,
  { program, config, directory, base, options }: LaunchOptions,
): Promise<Launch> {
  const { ml } = config
  if (program.kind !== 'script') {
    const python = await preparePython(program.python, [], options)
    const layered = await ownPython(python, directory, ml, options)
    const { ContainerEntrypoint, ContainerArguments } = document.AlgorithmSpecification
    const isFolder = program.kind === 'directory'
    const command = isFolder
      ? [join(program.directory, 'train'), ...(ContainerArguments ?? ['train'])]
      : [...(ContainerEntrypoint ?? []), ...(ContainerArguments ?? [])]
    const path = [...(isFolder ? [program.directory] : []), ...layered.path]
    return {
      steps: [command],
      workingDirectory: isFolder ? program.directory : ml,
      environment: { ...base, PATH: path.join(':') },
      visible: [...layered.visible, ...(isFolder ? [program.directory] : [])],
    }
  }
  const hyperParameters = document.HyperParameters ?? {}
  const settings = scriptSettings(hyperParameters)
  const source = setting(settings.framework, base, 'sagemaker_submit_directory')
  const entry = setting(settings.framework, base, 'sagemaker_program')
  const code = join(directory, 'ml', 'code')
  if (source !== undefined) await fetchCode(job.objects, source, code, join(directory, 'tmp'))
  const plan = await planScript(code, entry ?? 'train.py')
  const python = await preparePython(program.python, plan.requirements, options)
  const needsOwn =
    plan.needsPip || (program.python.kind === 'interpreter' && plan.requirements.length > 0)
  const layered = needsOwn
    ? await ownPython(python, directory, ml, options)
    : { python: python.path, path: [join(python.path, '..')], visible: python.folders }
  const args = scriptArguments(settings.user, hyperParameters)
  const moduleDir = join(ml, 'code')
  return {
    steps: scriptSteps({ ...plan, needsPip: needsOwn }, layered.python, args),
    workingDirectory: moduleDir,
    environment: {
      ...scriptEnvironment(
        settings,
        config,
        { entry: plan.entry, args, moduleDir, frameworkName: 'millrace_training' },
        inputDataConfig(document),
      ),
      ...base,
      PYTHONPATH: moduleDir,
      PATH: [...layered.path, ...SYSTEM_PATH].join(':'),
    },
    visible: layered.visible,
  }
}

/** A setting of the toolkit, which can also come as a variable: SAGEMAKER_PROGRAM. */
function setting(
  framework: Record<string, unknown>,
  environment: Record<string, string>,
  name: string,
): string | undefined {
  const value = framework[name] ?? environment[name.toUpperCase()]
  return typeof value === 'string' ? value : undefined
}

async function ownPython(
  python: JobPython,
  directory: string,
  ml: string,
  options: LaunchOptions['options'],
) {
  const pip = await preparePip(python, options)
  const seenAs = join(ml, '.python')
  const own = await layerPython(python, pip, {
    directory: join(directory, 'ml', '.python'),
    seenAs,
  })
  return {
    python: own,
    path: [join(seenAs, 'bin'), join(python.path, '..'), ...SYSTEM_PATH],
    visible: [...new Set([...python.folders, ...pip.folders])],
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
    if (training.document.TrainingJobStatus !== 'InProgress') return false
    moveTo(training, status, message)
    if (status === 'Downloading') training.document.TrainingStartTime ??= Date.now() / 1000
  })
}
