import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ApiError } from '@millrace/api/errors'
import { armInstance } from '../runner/instance/instance.ts'
import type { InstanceEnd, InstanceSpec } from '../runner/instance/instance-spec.ts'
import type { JobContext, JobKind } from '../runner/job-kind.ts'
import { findOwnPath } from '../runner/training/own-path.ts'
import { watchForStop } from '../runner/watch-for-stop.ts'
import { parseS3Uri, uploadDirectory } from '../s3/object-transfer.ts'
import { S3Error } from '../s3/s3-error.ts'
import { prepareProcessing, processingHosts } from './prepare-processing.ts'
import {
  findProcessingJob,
  finishProcessing,
  isProcessing,
  type ProcessingJob,
  updateProcessingJob,
} from './processing-job.ts'

const DAY_SECONDS = 86_400
const TEXT_MAX = 1_024
const OVER_LIMIT: Partial<Record<InstanceEnd['reason'], string>> = {
  memory: 'it held more memory than its instance type has here',
  processes: 'it started too many processes',
  disk: 'it wrote more than its volume holds (VolumeSizeInGB)',
}

/** Processing jobs, from InProgress to their end. */
export const processingJobKind: JobKind = {
  kind: 'processing-job',
  async run(job) {
    const found = findProcessingJob(job.state, job.name)
    if (!found || !isProcessing(found)) return
    const stop = watchForStop(job, 'processing-job')
    try {
      await carryOn(job, found, stop.signal)
    } catch (error) {
      job.signal.throwIfAborted()
      if (stop.signal.aborted) return finishProcessing(job.state, job.name, 'Stopped')
      if (!(error instanceof ApiError || error instanceof S3Error)) throw error
      finish(job, 'Failed', `ClientError: ${error.message}`)
    } finally {
      stop.end()
      if (!job.signal.aborted) await removeFiles(job, found)
    }
  },
  fail(job, error) {
    const reason = error instanceof Error ? error.message : String(error)
    finish(job, 'Failed', `InternalServerError: ${reason}`)
  },
  cancel(state, name) {
    const found = findProcessingJob(state, name)
    if (!found) return true
    if (found.document.ProcessingJobStatus !== 'Stopping') return false
    finishProcessing(state, name, 'Stopped')
    return true
  },
}

async function carryOn(job: JobContext, found: ProcessingJob, stop: AbortSignal): Promise<void> {
  const signal = AbortSignal.any([stop, job.signal])
  if (!found.progress.isPrepared) {
    await prepareProcessing(job, found, signal)
    const runtime = found.document.StoppingCondition?.MaxRuntimeInSeconds ?? DAY_SECONDS
    updateProcessingJob(job.state, job.name, ({ progress, document }) => {
      document.ProcessingStartTime = Date.now() / 1000
      Object.assign(progress, { isPrepared: true, deadlineMs: Date.now() + runtime * 1000 })
    })
  }
  signal.throwIfAborted()
  const ends = await runInstances(job, stop)
  const directories = processingHosts(job, found).map(({ directory }) => directory)
  const file = await findOwnPath(directories[0] ?? '', 'ml/output/message')
  const message = file === undefined ? '' : (await readFile(file, 'utf8')).slice(0, TEXT_MAX)
  const bad = ends.find(({ reason, code }) => reason !== 'exited' || code !== 0)
  if (bad?.reason === 'stopped') finish(job, 'Stopped', undefined, message)
  else if (bad) finish(job, 'Failed', failureOf(bad), message)
  else {
    await uploadOutputs(job, found, directories)
    finish(job, 'Completed', undefined, message)
  }
}

/** When one instance ends badly, the others are of no use and are ended too. */
async function runInstances(job: JobContext, stop: AbortSignal): Promise<InstanceEnd[]> {
  const found = findProcessingJob(job.state, job.name)
  if (!found) return []
  const { deadlineMs } = found.progress
  const beginning = deadlineMs === undefined ? {} : { deadlineMs }
  const armed = await Promise.all(
    processingHosts(job, found).map(async ({ directory }) => {
      // Written by `prepareProcessing` from the same type.
      const plan = JSON.parse(await readFile(join(directory, 'plan.json'), 'utf8')) as InstanceSpec
      return armInstance(plan, job.settings.environment)
    }),
  )
  const instances = armed.map((instance) => instance.begin(beginning))
  const stopAll = () => void Promise.all(instances.map((instance) => instance.stop()))
  stop.addEventListener('abort', stopAll)
  if (stop.aborted) stopAll()
  try {
    return await Promise.all(
      instances.map(async (instance) => {
        const end = await instance.ended(job.signal)
        if (end.reason !== 'exited' || end.code !== 0) {
          await Promise.all(
            instances.filter((other) => other !== instance).map((other) => other.stop()),
          )
        }
        return end
      }),
    )
  } finally {
    stop.removeEventListener('abort', stopAll)
  }
}

async function uploadOutputs(
  { objects }: JobContext,
  { document }: ProcessingJob,
  directories: string[],
): Promise<void> {
  for (const { S3Output } of document.ProcessingOutputConfig?.Outputs ?? []) {
    if (S3Output?.LocalPath === undefined) continue
    const folder = S3Output.LocalPath.replace(/^\/opt\/ml/, 'ml')
    for (const directory of directories) {
      const found = await findOwnPath(directory, folder.replace(/\/+$/, ''))
      if (found) await uploadDirectory(objects, found, parseS3Uri(S3Output.S3Uri))
    }
  }
}

function failureOf({ reason, code, errorOutput }: InstanceEnd): string {
  const limit = OVER_LIMIT[reason]
  if (limit) return `AlgorithmError: The job was ended because ${limit}, exit code: 137`
  if (reason === 'deadline') {
    return 'ClientError: The job ran longer than MaxRuntimeInSeconds of its StoppingCondition.'
  }
  if (reason !== 'exited') {
    return `InternalServerError: The instance of the job is ${reason}; its log may say why.`
  }
  const lines = errorOutput.split('\n').filter((line) => line.trim() !== '')
  const told = lines.slice(-8).join('\n').slice(-800)
  return `AlgorithmError: See job logs for more information${told === '' ? '' : `:\n${told}\n`}, exit code: ${code ?? 137}`
}

function finish(
  { state, name }: JobContext,
  status: 'Completed' | 'Failed' | 'Stopped',
  reason: string | undefined,
  message = '',
): void {
  finishProcessing(state, name, status, {
    ...(reason === undefined ? {} : { FailureReason: reason.slice(0, TEXT_MAX) }),
    ...(message === '' ? {} : { ExitMessage: message }),
  })
}

async function removeFiles(job: JobContext, found: ProcessingJob): Promise<void> {
  for (const { directory } of processingHosts(job, found)) {
    for (const name of ['ml', 'tmp', 'pipes', 'plan.json', 'spec.json']) {
      await rm(join(directory, name), { recursive: true, force: true })
    }
  }
}
