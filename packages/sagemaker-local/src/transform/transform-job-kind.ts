import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ApiError } from '@millrace/api/errors'
import { z } from 'zod'
import { prepareServer } from '../endpoints/prepare-server.ts'
import { NoAnswer, ServerKeeper } from '../endpoints/server-keeper.ts'
import { seconds } from '../operations/resource-names.ts'
import type { JobContext, JobKind } from '../runner/job-kind.ts'
import { listNames, nothingAt } from '../runner/training/download-channel.ts'
import { watchForStop } from '../runner/watch-for-stop.ts'
import { parseS3Uri } from '../s3/object-transfer.ts'
import { S3Error } from '../s3/s3-error.ts'
import { insertLogStream } from '../state/log-stream-store.ts'
import { recordProcessing } from './process-records.ts'
import {
  findTransformJob,
  finishTransform,
  isTransformRunning,
  TRANSFORM_LOG_GROUP,
  type TransformJob,
  updateTransformJob,
} from './transform-job.ts'
import { TransformFailure, type TransformSettings, transformObject } from './transform-object.ts'

const STARTUP_SECONDS = 240
const MIB = 2 ** 20
const DEFAULT_PAYLOAD_MIB = 6
const DEFAULT_TIMEOUT_SECONDS = 600
const DEFAULT_RETRIES = 3
const PARAMETERS_MS = 2_000

/** Batch transform jobs, from InProgress to their end. */
export const transformJobKind: JobKind = {
  kind: 'transform-job',
  async run(job) {
    const stop = watchForStop(job, 'transform-job')
    try {
      await transform(job, stop.signal)
    } finally {
      stop.end()
    }
  },
  fail(job, error) {
    finishTransform(job.state, job.name, 'Failed', `InternalServerError: ${reasonOf(error)}`)
  },
  cancel(state, name) {
    const job = findTransformJob(state, name)
    if (!job) return true
    if (job.document.TransformJobStatus !== 'Stopping') return false
    finishTransform(state, name, 'Stopped')
    return true
  },
}

async function transform(job: JobContext, stop: AbortSignal): Promise<void> {
  const found = findTransformJob(job.state, job.name)
  if (!found || !isTransformRunning(found)) return
  const signal = AbortSignal.any([stop, job.signal])
  const keepers: ServerKeeper[] = []
  let failure: string | undefined
  try {
    await prepare({ ...job, signal }, found)
    keepers.push(...found.progress.servers.map((_, index) => keep(job, found, index)))
    await Promise.race([Promise.all(keepers.map(({ ready }) => ready)), aborted(signal)])
    await transformAll(job, keepers, signal)
  } catch (error) {
    job.signal.throwIfAborted()
    if (!stop.aborted) failure = failureOf(error)
  }
  await Promise.all(keepers.map((keeper) => keeper.stop()))
  if (stop.aborted) finishTransform(job.state, job.name, 'Stopped')
  else if (failure !== undefined) finishTransform(job.state, job.name, 'Failed', failure)
  else finishTransform(job.state, job.name, 'Completed')
  for (const index of found.progress.servers.keys()) {
    for (const name of ['ml', 'tmp', 'pipes', 'plan.json', 'spec.json']) {
      await rm(join(serverDirectory(job, index), name), { recursive: true, force: true })
    }
  }
}

async function prepare(job: JobContext, { document, progress, arn }: TransformJob): Promise<void> {
  if (progress.isPrepared) return
  const createdMs = Date.now()
  const variables = batchVariables(document)
  for (const index of progress.servers.keys()) {
    const directory = serverDirectory(job, index)
    await rm(directory, { recursive: true, force: true })
    insertLogStream(job.state, {
      group: TRANSFORM_LOG_GROUP,
      name: `${job.name}/i-${index.toString(16).padStart(17, '0')}`,
      file: join(directory, 'output.log'),
      createdMs,
    })
    const kind = await prepareServer(job, {
      directory,
      container: {
        ...progress.container,
        Environment: { ...progress.container.Environment, ...document.Environment },
      },
      region: arn.split(':')[3] ?? job.settings.region,
      instanceType: document.TransformResources.InstanceType,
      memoryBytes: undefined,
      isIsolated: progress.isIsolated === true,
      environment: variables,
      log: () => undefined,
    })
    progress.isMlflow = kind === 'mlflow'
  }
  updateTransformJob(job.state, job.name, (current) => {
    current.progress.isPrepared = true
    current.progress.isMlflow = progress.isMlflow
    current.document.TransformStartTime ??= seconds(Date.now())
  })
}

function batchVariables(document: TransformJob['document']): Record<string, string> {
  const { MaxPayloadInMB, BatchStrategy, MaxConcurrentTransforms } = document
  return {
    SAGEMAKER_BATCH: 'true',
    ...(MaxPayloadInMB === undefined
      ? {}
      : { SAGEMAKER_MAX_PAYLOAD_IN_MB: String(MaxPayloadInMB) }),
    ...(BatchStrategy === undefined
      ? {}
      : {
          SAGEMAKER_BATCH_STRATEGY:
            BatchStrategy === 'SingleRecord' ? 'SINGLE_RECORD' : 'MULTI_RECORD',
        }),
    ...(MaxConcurrentTransforms
      ? { SAGEMAKER_MAX_CONCURRENT_TRANSFORMS: String(MaxConcurrentTransforms) }
      : {}),
  }
}

function keep(job: JobContext, { progress }: TransformJob, index: number): ServerKeeper {
  const { port = 0, isReady = false } = progress.servers[index] ?? {}
  return new ServerKeeper({
    directory: serverDirectory(job, index),
    port,
    isReady,
    environment: job.settings.environment,
    startupMs: Number(progress.faults['startup-seconds'] ?? STARTUP_SECONDS) * 1000,
    takenPorts: () => [],
    onState: (state) =>
      updateTransformJob(job.state, job.name, (current) => {
        current.progress.servers[index] = state
      }),
    signal: job.signal,
  })
}

/** The objects of the job, shared out among its instances. */
async function transformAll(
  job: JobContext,
  keepers: ServerKeeper[],
  signal: AbortSignal,
): Promise<void> {
  const found = findTransformJob(job.state, job.name)
  if (!found) return
  const { document, progress } = found
  const { S3DataSource } = document.TransformInput.DataSource
  const inputs = await listNames(job.objects, S3DataSource)
  if (inputs.length === 0) throw nothingAt(S3DataSource.S3Uri)
  const target = parseS3Uri(document.TransformOutput.S3OutputPath)
  const folder = target.key === '' ? '' : `${target.key.replace(/\/+$/, '')}/`
  const settings = await settingsOf(found, keepers[0])
  const end = new AbortController()
  const either = AbortSignal.any([signal, end.signal])
  const work = keepers.map(async (keeper, instance) => {
    for (const [index, input] of inputs.entries()) {
      if (index % keepers.length !== instance || progress.done.includes(input.key)) continue
      either.throwIfAborted()
      await transformObject(
        job.objects,
        {
          input,
          output: { bucket: target.bucket, key: `${folder}${input.path}.out` },
          file: join(serverDirectory(job, instance), 'answers'),
          port: () => keeper.port,
        },
        settings,
        either,
      )
      updateTransformJob(job.state, job.name, (current) => {
        current.progress.done.push(input.key)
      })
    }
  })
  try {
    await Promise.all(work)
  } finally {
    end.abort()
    await Promise.allSettled(work)
  }
}

const ExecutionParameters = z.object({
  MaxConcurrentTransforms: z.int().min(1).optional(),
  BatchStrategy: z.enum(['MULTI_RECORD', 'SINGLE_RECORD']).optional(),
  MaxPayloadInMB: z.int().min(0).optional(),
})

/** What the client wants, else what the container says of itself, else SageMaker's defaults. */
async function settingsOf(
  { document, progress }: TransformJob,
  keeper: ServerKeeper | undefined,
): Promise<TransformSettings> {
  const own = await executionParameters(keeper?.port ?? 0)
  const { TransformInput, TransformOutput, ModelClientConfig, DataProcessing = {} } = document
  const payload = document.MaxPayloadInMB ?? own.MaxPayloadInMB ?? DEFAULT_PAYLOAD_MIB
  const splitType = TransformInput.SplitType ?? 'None'
  const isCsv = TransformInput.ContentType?.startsWith('text/csv') === true
  const processing = recordProcessing(DataProcessing, TransformInput.ContentType)
  return {
    contentType: TransformInput.ContentType,
    accept: TransformOutput.Accept,
    isGzip: TransformInput.CompressionType === 'Gzip',
    splitType,
    isSingle: (document.BatchStrategy ?? own.BatchStrategy ?? '')
      .toUpperCase()
      .startsWith('SINGLE'),
    bytesMax: payload === 0 ? Number.POSITIVE_INFINITY : payload * MIB,
    isAssembledByLine: TransformOutput.AssembleWith === 'Line',
    concurrency: document.MaxConcurrentTransforms || own.MaxConcurrentTransforms || 1,
    timeoutMs: (ModelClientConfig?.InvocationsTimeoutInSeconds ?? DEFAULT_TIMEOUT_SECONDS) * 1000,
    retries: ModelClientConfig?.InvocationsMaxRetries ?? DEFAULT_RETRIES,
    processing,
    hasHeader: progress.isMlflow && isCsv && splitType === 'Line',
  }
}

async function executionParameters(port: number): Promise<z.infer<typeof ExecutionParameters>> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/execution-parameters`, {
      signal: AbortSignal.timeout(PARAMETERS_MS),
    })
    return answer.ok ? ExecutionParameters.parse(await answer.json()) : {}
  } catch {
    // A container need not have an opinion.
    return {}
  }
}

function serverDirectory(job: JobContext, index: number): string {
  return join(job.directory, `instance-${index}`)
}

function failureOf(error: unknown): string {
  if (error instanceof TransformFailure) return `${error.kind}: ${error.message}`
  if (error instanceof NoAnswer) {
    return `AlgorithmError: The primary container did not pass the ping health check. ${error.message}`
  }
  if (error instanceof ApiError || error instanceof S3Error) return `ClientError: ${error.message}`
  return `InternalServerError: ${reasonOf(error)}`
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
