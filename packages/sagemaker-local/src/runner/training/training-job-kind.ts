import { setImmediate as nextTurn } from 'node:timers/promises'
import { ApiError } from '@millrace/api/errors'
import { S3Error } from '../../s3/s3-error.ts'
import { findResource } from '../../state/resource-store.ts'
import { callAt } from '../instance/call-at.ts'
import type { ArmedInstance } from '../instance/instance.ts'
import type { JobContext, JobKind } from '../job-kind.ts'
import { watchForStop } from '../watch-for-stop.ts'
import { concludeJob } from './conclude-job.ts'
import { hostsOf, prepareJob } from './prepare-job.ts'
import { armJob, trainJob } from './train-job.ts'
import {
  finish,
  moveTo,
  type Outcome,
  type TrainingJob,
  type TrainingJobDocument,
  type TrainingProgress,
  updateTrainingJob,
} from './training-job.ts'

const STOPPED: Outcome = { status: 'Stopped', secondary: 'Stopped' }

/** Training jobs, from Starting to their end. */
export const trainingJobKind: JobKind = {
  kind: 'training-job',
  preparesAhead: true,
  async run(job) {
    const stop = watchForStop(job, 'training-job')
    try {
      for (;;) {
        const training = getTrainingJob(job)
        switch (training.progress.phase) {
          case 'preparing':
            await prepare(job, training, stop.signal)
            break
          case 'ready':
            await begin(job, training, stop.signal)
            break
          case 'training':
            await job.takePlace(stop.signal, { isRunning: true })
            await trainJob(job, training, await armJob(job, training), stop.signal)
            break
          case 'uploading':
            await job.freePlace()
            await concludeJob(job, training)
            return
        }
      }
    } finally {
      stop.end()
    }
  },
  fail(job, error) {
    const reason = error instanceof Error ? error.message : String(error)
    updateTrainingJob(job.state, job.name, (training) =>
      finish(training, {
        status: 'Failed',
        secondary: 'Failed',
        failureReason: `InternalServerError: ${reason}`.slice(0, 1024),
      }),
    )
  },
  wait(state, name) {
    updateTrainingJob(state, name, (training) => {
      if (training.document.TrainingJobStatus !== 'InProgress') return false
      moveTo(training, 'Pending', 'Waiting until one of the jobs that run has ended')
    })
  },
  cancel(state, name) {
    const found = findResource<TrainingJobDocument, TrainingProgress>(state, 'training-job', name)
    if (!found) return true
    if (found.document.TrainingJobStatus !== 'Stopping') return false
    updateTrainingJob(state, name, (training) => finish(training, STOPPED))
    return true
  },
}

export function getTrainingJob(job: JobContext): TrainingJob {
  const found = findResource<TrainingJobDocument, TrainingProgress>(
    job.state,
    'training-job',
    job.name,
  )
  if (!found) throw new Error(`The training job ${job.name} has been deleted.`)
  return found
}

async function prepare(job: JobContext, training: TrainingJob, stop: AbortSignal): Promise<void> {
  const outcome = await prepared(job, training, AbortSignal.any([stop, job.signal]))
  job.signal.throwIfAborted()
  updateTrainingJob(job.state, job.name, ({ progress }) => {
    if (stop.aborted) Object.assign(progress, { phase: 'uploading', outcome: STOPPED })
    else if (outcome) Object.assign(progress, { phase: 'uploading', outcome })
    else progress.phase = 'ready'
  })
}

/** Begins a job that is prepared as soon as there is a place for it. */
async function begin(job: JobContext, training: TrainingJob, stop: AbortSignal): Promise<void> {
  const armed = await armJob(job, training)
  const outcome = await waitForPlace(job, training, stop).catch(async (error: unknown) => {
    if (stop.aborted && !job.signal.aborted) return STOPPED
    await disarm(armed)
    job.signal.throwIfAborted()
    throw error
  })
  if (outcome) await disarm(armed)
  const begun = updateTrainingJob(job.state, job.name, (current) => {
    const { progress, document } = current
    if (outcome) {
      Object.assign(progress, { phase: 'uploading', outcome })
      return
    }
    progress.phase = 'training'
    // Nobody pays for waiting.
    if (document.SecondaryStatus === 'Pending') document.TrainingStartTime = Date.now() / 1000
    moveTo(current, 'Training', 'Training image download completed. Training in progress.')
  })
  if (!outcome) await trainJob(job, begun, armed, stop)
}

async function disarm(armed: readonly ArmedInstance[]): Promise<void> {
  await Promise.all(armed.map((instance) => instance.disarm()))
}

/** Undefined when there is a place; how the job ends when it has waited for too long. */
async function waitForPlace(
  job: JobContext,
  training: TrainingJob,
  stop: AbortSignal,
): Promise<Outcome | undefined> {
  const limit = pendingLimit(training)
  const isOver = limit ? AbortSignal.any([stop, limit]) : stop
  const place = job.takePlace(isOver)
  const isThere = await Promise.race([place.then(() => true), nextTurn(false)])
  if (!isThere) trainingJobKind.wait?.(job.state, job.name)
  try {
    await place
    return undefined
  } catch (error) {
    if (limit?.aborted !== true || stop.aborted || job.signal.aborted) throw error
    return { status: 'Stopped', secondary: 'Stopped' }
  }
}

/** SageMaker's limit of waiting for instances, which holds for accelerated ones only. */
function pendingLimit(training: TrainingJob): AbortSignal | undefined {
  const seconds = training.document.StoppingCondition?.MaxPendingTimeInSeconds
  const isAccelerated = hostsOf(training).some(({ type }) => /^ml\.(p|g|trn)\d/.test(type))
  if (seconds === undefined || !isAccelerated) return undefined
  const limit = new AbortController()
  callAt(training.createdMs + seconds * 1000, () => limit.abort())
  return limit.signal
}

/** Undefined when the job can be started; how it ends when the client has to change something. */
async function prepared(
  job: JobContext,
  training: TrainingJob,
  signal: AbortSignal,
): Promise<Outcome | undefined> {
  if (training.progress.faults['capacity-error'] !== undefined) {
    return failed('CapacityError: Unable to provision requested ML compute capacity.')
  }
  try {
    const region = training.arn.split(':')[3] ?? job.settings.region
    await prepareJob(job, training, region, signal)
    return undefined
  } catch (error) {
    if (signal.aborted) return undefined
    if (error instanceof S3Error) {
      return failed(`ClientError: Data download failed: ${error.code}: ${error.message}`)
    }
    if (!(error instanceof ApiError)) throw error
    const isInstall = error.code === 'INVALID_STATE'
    return failed(
      isInstall
        ? `AlgorithmError: InstallRequirementsError: ${error.message}`
        : `ClientError: Data download failed: ${error.message}`,
    )
  }
}

function failed(reason: string): Outcome {
  return { status: 'Failed', secondary: 'Failed', failureReason: reason.slice(0, 1024) }
}
