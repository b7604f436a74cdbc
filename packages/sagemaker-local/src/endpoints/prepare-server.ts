import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { invalid } from '@millrace/api/errors'
import { parseRequirement, type Requirement, requirementLines } from '@millrace/models/requirement'
import { prepareRuntime } from '@millrace/scoring/model-runtime'
import type { Container } from '../operations/model-input.ts'
import { findPython, type JobPython, preparePython } from '../runner/images/job-python.ts'
import type { WantedPython } from '../runner/images/resolve-image.ts'
import { unpackImage } from '../runner/images/unpack-image.ts'
import type { InstanceSpec } from '../runner/instance/instance-spec.ts'
import { localSize } from '../runner/instance/instance-types.ts'
import { hiddenFolders, isolationFor, mlFolder } from '../runner/instance/isolation.ts'
import type { JobContext } from '../runner/job-kind.ts'
import { fetchCode } from '../runner/training/fetch-code.ts'
import { giveTree } from '../runner/training/job-layout.ts'
import { fetchModelData } from './model-data.ts'
import { resolveServing, type Serving } from './serving-image.ts'

const GRACE_MS = 30_000
const PROCESSES_MAX = 1_024
const LOG_BYTES_MAX = 64 * 2 ** 20
const VOLUME_BYTES = 30 * 2 ** 30
const SYSTEM_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']
const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
const MILLRACE = join(ROOT, 'packages', 'cli', 'bin', 'millrace.cjs')
const SCRIPT_SERVER = fileURLToPath(new URL('./script_server.py', import.meta.url))
const XGBOOST_HANDLERS = fileURLToPath(new URL('./xgboost_handlers.py', import.meta.url))

/** A server to be made ready to start. */
export interface ServerOrder {
  /** A folder of its own. */
  directory: string
  container: Container
  region: string
  instanceType: string | undefined
  /** Of a serverless variant. */
  memoryBytes: number | undefined
  /** Whether it is to reach nothing. */
  isIsolated?: boolean
  /** Variables besides those that every server has. */
  environment: Record<string, string>
  log: (line: string) => void
}

/**
 * Fetches a model, makes the environment that it needs and writes what to start into `plan.json` of
 * the server's folder. Gives what will answer.
 *
 * @throws ApiError when the client has to change something
 */
export async function prepareServer(job: JobContext, order: ServerOrder): Promise<Serving['kind']> {
  const { directory, container, isIsolated = false } = order
  const { settings } = job
  const isolation = isolationFor(job.number)
  if (isIsolated && isolation.kind === 'none') {
    throw invalid('This machine has no namespaces for the network isolation that is asked for.')
  }
  const own = join(directory, 'ml')
  for (const folder of ['ml/code', 'ml/output', 'tmp', 'pipes']) {
    await mkdir(join(directory, folder), { recursive: true })
  }
  await fetchModelData(job.objects, container, join(own, 'model'))
  const { kind, launch } = await planLaunch(job, order, mlFolder(isolation, own))
  const userId = isolation.kind === 'namespaces' ? isolation.userId : undefined
  for (const folder of ['ml', 'tmp']) {
    await giveTree(join(directory, folder), userId, () => false)
  }
  const size = localSize(order.instanceType ?? 'ml.m5.large', settings.places)
  const spec: InstanceSpec = {
    directory,
    ...launch,
    environment: { ...platformVariables(job, order.region), ...launch.environment },
    hosts: [],
    isolation,
    hasNetwork: !isIsolated,
    hidden: hiddenFolders(settings),
    limits: {
      memoryBytes: order.memoryBytes ?? size.memoryBytes,
      processes: PROCESSES_MAX,
      diskBytes: VOLUME_BYTES,
      logBytes: LOG_BYTES_MAX,
      cpus: size.cpus,
    },
    graceMs: GRACE_MS,
    metrics: [],
    pipes: [],
  }
  await writeFile(join(directory, 'plan.json'), JSON.stringify(spec), { mode: 0o600 })
  return kind
}

type Launch = Pick<InstanceSpec, 'steps' | 'workingDirectory' | 'environment' | 'visible' | 'image'>

async function planLaunch(
  job: JobContext,
  order: ServerOrder,
  ml: string,
): Promise<{ kind: Serving['kind']; launch: Launch }> {
  const { directory, container } = order
  const model = join(directory, 'ml', 'model')
  const variables = { ...order.environment, ...container.Environment }
  const hasScript =
    variables['SAGEMAKER_PROGRAM'] !== undefined ||
    (await isFile(join(model, 'code', 'inference.py')))
  const serving = await resolveServing({
    image: container.Image,
    imagesFile: job.settings.imagesFile,
    images: job.images,
    hasMlmodel: await isFile(join(model, 'MLmodel')),
    hasScript,
  })
  const { kind } = serving
  const of = { model, ml, variables }
  switch (kind) {
    case 'program':
      return { kind, launch: await programLaunch(job, order, serving, variables) }
    case 'image':
      return { kind, launch: await imageLaunch(job, serving, variables) }
    case 'mlflow':
      return { kind, launch: await modelLaunch(job, order, { ...of, wanted: serving.python }) }
    case 'script': {
      const isBuiltIn = !hasScript && (await isFromXgboost(container, model))
      const script = isBuiltIn ? xgboostScript(ml) : await clientScript(job, order, ml, variables)
      return {
        kind,
        launch: await scriptLaunch(job, order, { ...of, wanted: serving.python, script }),
      }
    }
  }
}

async function programLaunch(
  job: JobContext,
  order: ServerOrder,
  { directory, python: wanted }: Serving & { kind: 'program' },
  variables: Record<string, string>,
): Promise<Launch> {
  const { environment } = job.settings
  const python = wanted
    ? await preparePython(wanted, [], installOptions(job, order))
    : await findPython(environment)
  const path = [directory, ...(python ? [join(python.path, '..')] : []), ...SYSTEM_PATH]
  return {
    steps: [[join(directory, 'serve')]],
    workingDirectory: directory,
    environment: { PATH: path.join(':'), ...variables },
    visible: [directory, ...(python?.folders ?? [])],
  }
}

/** An image of the registry as Docker would start it with the word `serve`. */
async function imageLaunch(
  job: JobContext,
  image: Serving & { kind: 'image' },
  variables: Record<string, string>,
): Promise<Launch> {
  if (isolationFor(job.number).kind === 'none') {
    throw invalid('This machine has no namespaces to run an image of the registry in.')
  }
  const unpacked = await unpackImage(job.images, image, join(job.settings.directory, 'images'))
  return {
    steps: [[...unpacked.entrypoint, 'serve']],
    workingDirectory: unpacked.workingDirectory,
    environment: { PATH: SYSTEM_PATH.join(':'), ...unpacked.environment, ...variables },
    visible: [],
    image: unpacked.root,
  }
}

async function modelLaunch(
  job: JobContext,
  order: ServerOrder,
  {
    wanted,
    model,
    ml,
    variables,
  }: {
    wanted: WantedPython | undefined
    model: string
    ml: string
    variables: Record<string, string>
  },
): Promise<Launch> {
  if (!(await isFile(join(model, 'MLmodel')))) {
    throw invalid(
      `The model of the image ${order.container.Image} has no MLmodel file at the top of its archive.`,
    )
  }
  const options = installOptions(job, order)
  const path = await (wanted
    ? preparePython(wanted, [], options).then((python) => python.path)
    : prepareRuntime(model, { ...options, manager: 'uv', installMlflow: true }).then(
        (runtime) => runtime.python,
      ))
  const python = await preparePython({ kind: 'interpreter', path }, [], options)
  return {
    steps: [
      [
        process.execPath,
        MILLRACE,
        ...['models', 'serve', '--env-manager', 'local', '--host', '127.0.0.1'],
        ...['--model-uri', join(ml, 'model')],
      ],
    ],
    workingDirectory: ml,
    environment: {
      ...variables,
      ...pythonVariables(python),
      MILLRACE_PYTHON: python.path,
      // Takes the place of its port; the keeper of the server gives it another one at each start.
      MLFLOW_PORT: '0',
    },
    visible: [
      process.execPath,
      ...['node_modules', 'packages', 'python'].map((name) => join(ROOT, name)),
      ...python.folders,
    ],
  }
}

/** Handler functions, and what they are run with. */
interface Script {
  /** As the server sees it. */
  directory: string
  program: string
  workingDirectory: string
  requirements: Requirement[]
  /** Defaults, which the variables of the container go before. */
  defaults: Record<string, string>
  /** Variables that nothing goes before. */
  fixed: Record<string, string>
  /** Files that the server sees besides its own. */
  visible: string[]
}

/** What serves a model of SageMaker's own XGBoost when no script is there. */
function xgboostScript(ml: string): Script {
  return {
    directory: dirname(XGBOOST_HANDLERS),
    program: basename(XGBOOST_HANDLERS),
    workingDirectory: ml,
    requirements: [],
    defaults: { SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT: 'text/csv' },
    fixed: {},
    visible: [XGBOOST_HANDLERS],
  }
}

async function isFromXgboost({ Image = '' }: Container, model: string): Promise<boolean> {
  return Image.includes('xgboost') && (await isFile(join(model, 'xgboost-model')))
}

/** The script that the client has sent, fetched when it is not a part of the model. */
async function clientScript(
  job: JobContext,
  { directory }: ServerOrder,
  ml: string,
  variables: Record<string, string>,
): Promise<Script> {
  const source = variables['SAGEMAKER_SUBMIT_DIRECTORY'] ?? ''
  const isFetched = source.startsWith('s3://')
  const code = isFetched ? 'code' : join('model', 'code')
  if (isFetched) {
    await fetchCode(job.objects, source, join(directory, 'ml', code), join(directory, 'tmp'))
  }
  const program = variables['SAGEMAKER_PROGRAM'] ?? 'inference.py'
  if (!(await isFile(join(directory, 'ml', code, program)))) {
    throw invalid(
      `The program '${program}' (SAGEMAKER_PROGRAM) is not among the code of the model, in ` +
        `${isFetched ? source : 'code/ of its archive'}.`,
    )
  }
  return {
    directory: join(ml, code),
    program,
    workingDirectory: join(ml, code),
    requirements: await requirementsOf(join(directory, 'ml', code, 'requirements.txt')),
    defaults: {},
    fixed: { PYTHONPATH: join(ml, code) },
    visible: [],
  }
}

async function scriptLaunch(
  job: JobContext,
  order: ServerOrder,
  {
    wanted,
    ml,
    variables,
    script,
  }: { wanted: WantedPython; ml: string; variables: Record<string, string>; script: Script },
): Promise<Launch> {
  const python = await preparePython(wanted, script.requirements, installOptions(job, order))
  const { directory, program, workingDirectory, defaults, fixed, visible } = script
  return {
    steps: [[python.path, '-u', SCRIPT_SERVER, directory, program, join(ml, 'model')]],
    workingDirectory,
    environment: { ...defaults, ...pythonVariables(python), ...variables, ...fixed },
    visible: [SCRIPT_SERVER, ...visible, ...python.folders],
  }
}

async function requirementsOf(file: string): Promise<Requirement[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return requirementLines(text).map(parseRequirement)
}

function pythonVariables(python: JobPython): Record<string, string> {
  return { PATH: [join(python.path, '..'), ...SYSTEM_PATH].join(':') }
}

function installOptions({ settings, signal }: JobContext, { log }: ServerOrder) {
  return { environment: settings.environment, signal, log }
}

/** What every server is told: where AWS is, and nothing of ours. */
function platformVariables({ settings }: JobContext, region: string): Record<string, string> {
  const key = settings.accessKeys[0]
  return {
    LANG: 'C.UTF-8',
    HOME: '/tmp',
    PYTHONUNBUFFERED: '1',
    PYTHONDONTWRITEBYTECODE: '1',
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    SAGEMAKER_REGION: region,
    AWS_ACCESS_KEY_ID: key?.accessKeyId ?? 'millrace',
    AWS_SECRET_ACCESS_KEY: key?.secretAccessKey ?? 'millrace',
    AWS_ENDPOINT_URL: settings.url,
    S3_ENDPOINT_URL: settings.url,
  }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
}
