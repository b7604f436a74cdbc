import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseRequirement, type Requirement, requirementLines } from '@millrace/models/requirement'
import {
  findPython,
  type JobPython,
  layerPython,
  type PrepareOptions,
  preparePip,
  preparePython,
} from '../images/job-python.ts'
import type { Program, WantedPython } from '../images/resolve-image.ts'
import { unpackImage } from '../images/unpack-image.ts'
import type { JobContext } from '../job-kind.ts'
import { fetchCode } from './fetch-code.ts'
import { type HostConfig, scriptEnvironment } from './job-environment.ts'
import { inputDataConfig } from './job-layout.ts'
import { planScript, scriptArguments, scriptSettings, scriptSteps } from './script-mode.ts'
import type { TrainingJob } from './training-job.ts'

const XGBOOST_TRAIN = fileURLToPath(new URL('./xgboost_train.py', import.meta.url))
const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** What is started for one instance of a job. */
export interface Launch {
  steps: string[][]
  workingDirectory: string
  environment: Record<string, string>
  visible: string[]
  /** The root of an image to run in. */
  image?: string
}

export interface LaunchOptions {
  program: Program
  config: HostConfig
  /** The folder of the instance. */
  directory: string
  /** The variables of every job. */
  base: Record<string, string>
  options: PrepareOptions
}

/**
 * Decides what to start for an instance, and makes the Python and the code that it needs.
 *
 * @throws ApiError when the code is not there or a package cannot be installed
 */
export function planLaunch(
  job: JobContext,
  training: TrainingJob,
  launch: LaunchOptions,
): Promise<Launch> {
  switch (launch.program.kind) {
    case 'command':
      return planCommand(training.document.AlgorithmSpecification, {
        ...launch,
        ml: launch.config.ml,
        wanted: launch.program.python,
      })
    case 'image':
      return planImage(job, training, launch, launch.program)
    case 'directory':
      return planDirectory(training, launch, launch.program)
    case 'script':
      return launch.program.algorithm && !hasScript(training, launch.base)
        ? planAlgorithm(launch, launch.program.python)
        : planFramework(job, training, launch, launch.program.python)
  }
}

/** The command of an image in place of its own. */
export interface ContainerCommand {
  ContainerEntrypoint?: string[] | undefined
  ContainerArguments?: string[] | undefined
}

interface CommandOptions extends Pick<LaunchOptions, 'directory' | 'base' | 'options'> {
  /** What the job takes for /opt/ml. */
  ml: string
  wanted: WantedPython
}

/** A command of the client's, with a Python of the job's own that it can add packages to. */
export async function planCommand(
  { ContainerEntrypoint = [], ContainerArguments = [] }: ContainerCommand,
  { directory, base, options, ml, wanted }: CommandOptions,
): Promise<Launch> {
  const own = await ownPython(await preparePython(wanted, [], options), directory, ml, options)
  return {
    steps: [[...ContainerEntrypoint, ...ContainerArguments]],
    workingDirectory: ml,
    environment: { ...base, PATH: [...own.path, ...SYSTEM_PATH].join(':') },
    visible: own.visible,
  }
}

/** An image of the registry as Docker would start it with the word `train`. */
async function planImage(
  job: JobContext,
  { document }: TrainingJob,
  { base }: LaunchOptions,
  image: { repository: string; reference: string },
): Promise<Launch> {
  const { ContainerEntrypoint, ContainerArguments } = document.AlgorithmSpecification
  const words = ContainerArguments ?? (ContainerEntrypoint ? [] : ['train'])
  const command = { ContainerEntrypoint, ContainerArguments: words }
  return planContainer(job, image, command, { base, own: document.Environment ?? {} })
}

/** An image of the registry with a command; `own` are the variables that win over those of the image. */
export async function planContainer(
  job: JobContext,
  image: { repository: string; reference: string },
  { ContainerEntrypoint, ContainerArguments = [] }: ContainerCommand,
  { base, own }: { base: Record<string, string>; own: Record<string, string> },
): Promise<Launch> {
  const folder = join(job.settings.directory, 'images')
  const { root, entrypoint, environment, workingDirectory } = await unpackImage(
    job.images,
    image,
    folder,
  )
  return {
    steps: [[...(ContainerEntrypoint ?? entrypoint), ...ContainerArguments]],
    workingDirectory,
    environment: { PATH: SYSTEM_PATH.join(':'), ...base, ...environment, ...own },
    visible: [],
    image: root,
  }
}

/** The program `train` of a folder, with what the folder's requirements.txt asks for. */
async function planDirectory(
  { document }: TrainingJob,
  { config, base, options }: LaunchOptions,
  { directory, python }: Program & { kind: 'directory' },
): Promise<Launch> {
  const file = join(directory, 'requirements.txt')
  const requirements = requirementLines(await readFile(file, 'utf8').catch(() => '')).map(
    parseRequirement,
  )
  const found =
    python === undefined && requirements.length === 0
      ? await findPython(options.environment)
      : await preparePython(
          python ?? { kind: 'packages', version: undefined, packages: [] },
          requirements,
          options,
        )
  const path = [directory, ...(found ? [dirname(found.path)] : []), ...SYSTEM_PATH]
  const args = document.AlgorithmSpecification.ContainerArguments ?? []
  return {
    steps: [[join(directory, 'train'), ...args]],
    workingDirectory: directory,
    environment: { ...base, PATH: path.join(':'), SAGEMAKER_BASE_DIR: config.ml },
    visible: [directory, ...(found?.folders ?? [])],
  }
}

/** A script as the training toolkit of the framework images runs it. */
async function planFramework(
  job: JobContext,
  { document }: TrainingJob,
  { config, directory, base, options }: LaunchOptions,
  wanted: WantedPython,
): Promise<Launch> {
  const hyperParameters = document.HyperParameters ?? {}
  const settings = scriptSettings(hyperParameters)
  const source = setting(settings.framework, base, 'sagemaker_submit_directory')
  const entry = setting(settings.framework, base, 'sagemaker_program') ?? 'train.py'
  const code = join(directory, 'ml', 'code')
  if (source !== undefined) await fetchCode(job.objects, source, code, join(directory, 'tmp'))
  const plan = await planScript(code, entry)
  const python = await preparePython(wanted, plan.requirements, options)
  const needsPip = plan.needsPip || cannotAdd(wanted, plan.requirements)
  const used = needsPip
    ? await ownPython(python, directory, config.ml, options)
    : { python: python.path, path: [dirname(python.path)], visible: python.folders }
  const args = scriptArguments(settings.user, hyperParameters)
  const moduleDir = join(config.ml, 'code')
  const script = { entry, args, moduleDir, frameworkName: 'millrace_training' }
  return {
    steps: scriptSteps({ ...plan, needsPip }, used.python, args),
    workingDirectory: moduleDir,
    environment: {
      ...scriptEnvironment(settings, config, script, inputDataConfig(document)),
      ...base,
      PYTHONPATH: moduleDir,
      PATH: [...used.path, ...SYSTEM_PATH].join(':'),
    },
    visible: used.visible,
  }
}

/** XGBoost's own training program, in the environment of its image. */
async function planAlgorithm({ config, base, options }: LaunchOptions, wanted: WantedPython) {
  const python = await preparePython(wanted, [], options)
  return {
    steps: [[python.path, '-u', XGBOOST_TRAIN, config.ml]],
    workingDirectory: config.ml,
    environment: { ...base, PATH: [dirname(python.path), ...SYSTEM_PATH].join(':') },
    visible: [XGBOOST_TRAIN, ...python.folders],
  }
}

/** Whether a client has sent a script, which is then what runs. */
function hasScript(
  { document }: TrainingJob,
  environment: Record<string, string> = document.Environment ?? {},
): boolean {
  const { framework } = scriptSettings(document.HyperParameters ?? {})
  return ['sagemaker_program', 'sagemaker_submit_directory'].some(
    (name) => setting(framework, environment, name) !== undefined,
  )
}

/** An interpreter that somebody else owns gets its additions in the job. */
function cannotAdd(wanted: WantedPython, requirements: Requirement[]): boolean {
  return wanted.kind === 'interpreter' && requirements.length > 0
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
  options: PrepareOptions,
) {
  const pip = await preparePip(python, options)
  const seenAs = join(ml, '.python')
  const own = await layerPython(python, pip, {
    directory: join(directory, 'ml', '.python'),
    seenAs,
  })
  return {
    python: own,
    path: [join(seenAs, 'bin'), dirname(python.path)],
    visible: [...new Set([...python.folders, ...pip.folders])],
  }
}
