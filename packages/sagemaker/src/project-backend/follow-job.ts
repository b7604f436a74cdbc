import { setTimeout as wait } from 'node:timers/promises'
import {
  DescribeTrainingJobCommand,
  type DescribeTrainingJobResponse,
  type SageMakerClient,
  StopTrainingJobCommand,
} from '@aws-sdk/client-sagemaker'
import { ApiError } from '@millrace/api/errors'
import { interruptionOf, stoppedEnding } from '@millrace/projects/command-run'
import type { ProjectEnding } from '@millrace/projects/tracked-run'
import type { TrainingLogLook } from './training-log.ts'

/** A job that was made, and who waits for it. */
export interface FollowedJob {
  sagemaker: SageMakerClient
  name: string
  look: TrainingLogLook
  /** Aborted to stop the job. */
  signal: AbortSignal
  log: (line: string) => void
  /** Between two questions. */
  pollMs: number
  /** How long lines may come in after the job has ended. */
  lateMs: number
}

/** How a job ended, and what SageMaker says of it. */
export interface FollowedEnding {
  ending: ProjectEnding
  job: DescribeTrainingJobResponse
}

const ENDED = ['Completed', 'Failed', 'Stopped']
// SageMaker gives a container two minutes to end; then the instance has to be put away.
const STOP_LIMIT_MS = 300_000
const FAILURES_MAX = 30

/**
 * Waits for a job and shows its log. When it is to be stopped it is, and waited for all the same, so
 * that nothing runs on and costs money unseen.
 *
 * @throws ApiError when SageMaker does not know the job any more, or does not answer for long
 */
export async function followJob(followed: FollowedJob): Promise<FollowedEnding> {
  const { signal, name, log } = followed
  try {
    const job = await untilEnded(followed, signal)
    return { ending: endingOf(name, job), job }
  } catch (error) {
    if (!signal.aborted) throw error
    log(`Stopping training job ${name}; it has two minutes to end`)
    await stopJob(followed)
    const limit = AbortSignal.timeout(STOP_LIMIT_MS)
    const job = await untilEnded(followed, limit).catch((problem: unknown) => {
      if (!limit.aborted) throw problem
      throw new ApiError(
        'TEMPORARILY_UNAVAILABLE',
        `Training job ${name} was told to stop and has not ended after ${STOP_LIMIT_MS / 1_000} s: ` +
          'look after it in the SageMaker console.',
      )
    })
    const hasFinished = job.TrainingJobStatus === 'Completed'
    return {
      ending: hasFinished ? endingOf(name, job) : stoppedEnding(interruptionOf(signal)),
      job,
    }
  }
}

async function stopJob({ sagemaker, name }: FollowedJob): Promise<void> {
  await sagemaker
    .send(new StopTrainingJobCommand({ TrainingJobName: name }))
    .catch((error: unknown) => {
      // What has ended by itself cannot be stopped.
      if (!(error instanceof Error) || error.name !== 'ValidationException') throw error
    })
}

async function untilEnded(
  { sagemaker, name, look, log, pollMs, lateMs }: FollowedJob,
  signal: AbortSignal,
): Promise<DescribeTrainingJobResponse> {
  let shown = ''
  for (let failures = 0; ; await wait(pollMs, undefined, { signal })) {
    try {
      const job = await sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName: name }))
      failures = 0
      const { TrainingJobStatus = '', SecondaryStatus = '' } = job
      const isNews = SecondaryStatus !== shown
      shown = SecondaryStatus
      await look()
      if (isNews) log(`Training job ${name}: ${SecondaryStatus}`)
      if (!ENDED.includes(TrainingJobStatus)) continue
      await wait(lateMs)
      await look()
      return job
    } catch (error) {
      if (signal.aborted) throw error
      failures += 1
      const isFinal = error instanceof Error && /Validation|AccessDenied/.test(error.name)
      if (!isFinal && failures <= FAILURES_MAX) continue
      const reason = error instanceof Error ? error.message : String(error)
      throw new ApiError('INVALID_STATE', `Training job ${name} is lost: ${reason}`)
    }
  }
}

/** What the end of a job is for its run. */
export function endingOf(
  name: string,
  { TrainingJobStatus, SecondaryStatus, FailureReason }: Partial<DescribeTrainingJobResponse>,
): ProjectEnding {
  if (TrainingJobStatus === 'Completed') return { status: 'FINISHED', exitCode: 0 }
  if (TrainingJobStatus === 'Stopped') {
    const why = {
      MaxRuntimeExceeded: 'ran longer than max_run_seconds',
      MaxWaitTimeExceeded: 'waited and ran longer than max_wait_seconds',
    }[SecondaryStatus as string]
    const reason = `Training job ${name} ${why ?? 'was stopped in SageMaker'}.`
    return { status: 'KILLED', exitCode: 143, reason }
  }
  const [, code] = /exit code:? (\d+)/i.exec(FailureReason ?? '') ?? []
  return {
    status: 'FAILED',
    exitCode: Number(code ?? 1) || 1,
    reason: `Training job ${name} failed: ${FailureReason ?? 'SageMaker does not say why.'}`,
  }
}
