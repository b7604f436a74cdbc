import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ArmedInstance, armInstance, type Instance } from '../instance/instance.ts'
import type { Beginning, InstanceEnd, InstanceSpec } from '../instance/instance-spec.ts'
import type { JobContext } from '../job-kind.ts'
import { mirrorCheckpoints } from './checkpoints.ts'
import { endOfJob, type Next } from './end-of-job.ts'
import { hostDirectory } from './job-layout.ts'
import { findOwnPath } from './own-path.ts'
import { hostsOf } from './prepare-job.ts'
import { moveTo, type TrainingJob, updateTrainingJob } from './training-job.ts'

const DAY_SECONDS = 86_400

/** The instances of a job, ready to begin, or running since another runner let them begin. */
export async function armJob(job: JobContext, training: TrainingJob): Promise<ArmedInstance[]> {
  return Promise.all(
    directoriesOf(job, training).map(async (directory) =>
      armInstance(await readPlan(directory), job.settings.environment),
    ),
  )
}

/**
 * Lets the instances of a job begin, or adopts those that run, and waits for their end. What it comes
 * to is recorded: the end of the job, whose place is free before that, or another attempt.
 */
export async function trainJob(
  job: JobContext,
  training: TrainingJob,
  armed: ArmedInstance[],
  stop: AbortSignal,
): Promise<void> {
  const { document } = training
  const directories = directoriesOf(job, training)
  const beginning = beginningOf(training)
  const instances = armed.map((instance) => instance.begin(beginning))
  const stopAll = () => void Promise.all(instances.map((instance) => instance.stop()))
  stop.addEventListener('abort', stopAll)
  if (stop.aborted) stopAll()
  const over = new AbortController()
  const checkpoints = document.CheckpointConfig
  const mirrored = checkpoints
    ? mirrorCheckpoints(
        job.objects,
        checkpoints.S3Uri,
        () => findOwnPath(directories[0] ?? '', join('ml', 'checkpoints')),
        over.signal,
      )
    : Promise.resolve()
  // What goes wrong with it is told when the job has ended.
  mirrored.catch(() => undefined)
  let ends: InstanceEnd[]
  try {
    ends = await waitForAll(instances, job.signal)
  } finally {
    stop.removeEventListener('abort', stopAll)
    over.abort()
  }
  const next = await endOfJob(training, ends, directories)
  if (next.kind === 'end') await job.freePlace()
  await mirrored
  record(job, next, ends)
}

function directoriesOf(job: JobContext, training: TrainingJob): string[] {
  return hostsOf(training).map(({ name }) =>
    hostDirectory(job.directory, training.progress.attempt, name),
  )
}

function record(job: JobContext, next: Next, ends: InstanceEnd[]): void {
  const ranMs = Math.max(...ends.map(({ startedMs, endedMs }) => endedMs - startedMs))
  updateTrainingJob(job.state, job.name, (current) => {
    const { document, progress } = current
    progress.ranMs += ranMs
    const isStopping = document.TrainingJobStatus === 'Stopping'
    if (next.kind === 'end' || isStopping) {
      progress.phase = 'uploading'
      progress.outcome =
        next.kind === 'end' && !(isStopping && next.outcome.status !== 'Failed')
          ? next.outcome
          : { status: 'Stopped', secondary: 'Stopped' }
      if (progress.outcome.status === 'Completed') {
        moveTo(current, 'Uploading', 'Uploading generated training model')
      }
      return
    }
    progress.phase = 'preparing'
    progress.attempt += 1
    if (next.kind === 'interrupted') {
      moveTo(current, 'Interrupted', 'The spot instance was interrupted')
    } else {
      progress.retries += 1
      moveTo(current, 'Restarting', 'Restarting the training job after an internal error')
    }
    moveTo(current, 'Starting', 'Preparing the instances for training')
  })
}

/** When one instance ends badly, the others are of no use and are ended too. */
async function waitForAll(instances: Instance[], signal: AbortSignal): Promise<InstanceEnd[]> {
  return Promise.all(
    instances.map(async (instance) => {
      const end = await instance.ended(signal)
      if (end.reason !== 'exited' || end.code !== 0) {
        await Promise.all(
          instances.filter((other) => other !== instance).map((other) => other.stop()),
        )
      }
      return end
    }),
  )
}

async function readPlan(directory: string): Promise<InstanceSpec> {
  // Written by `prepareJob` from the same type.
  return JSON.parse(await readFile(join(directory, 'plan.json'), 'utf8')) as InstanceSpec
}

function beginningOf({ document, progress }: TrainingJob): Beginning {
  const runtimeMs = (document.StoppingCondition?.MaxRuntimeInSeconds ?? DAY_SECONDS) * 1000
  const interruptions = (progress.faults['interrupt-after-seconds'] ?? '').split(' ')
  const interruptAfter = Number(interruptions[progress.attempt] ?? 0)
  const isSpot = document.EnableManagedSpotTraining === true
  return {
    deadlineMs: Date.now() + Math.max(0, runtimeMs - progress.ranMs),
    ...(isSpot && interruptAfter > 0 ? { interruptAfterMs: interruptAfter * 1000 } : {}),
  }
}
