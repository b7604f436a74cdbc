import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ApiError } from '@millrace/api/errors'
import { S3Error } from '../../s3/s3-error.ts'
import type { JobContext } from '../job-kind.ts'
import { hostDirectory } from './job-layout.ts'
import { finalMetrics } from './job-metrics.ts'
import { endJobRun } from './job-run.ts'
import { hostsOf } from './prepare-job.ts'
import { finish, type Outcome, type TrainingJob, updateTrainingJob } from './training-job.ts'
import { uploadOutputs } from './upload-outputs.ts'

/** Uploads what a job has made, gives it its last status and removes its files but for the logs. */
export async function concludeJob(job: JobContext, training: TrainingJob): Promise<void> {
  const { progress } = training
  const hosts = hostsOf(training).map(({ name }) => ({
    directory: hostDirectory(job.directory, progress.attempt, name),
  }))
  const outcome = await uploaded(job, training, hosts)
  const [metrics, run] = await Promise.all([
    finalMetrics(job.directory),
    endJobRun(job.settings.trackingUri, training.arn, outcome.status),
  ])
  job.signal.throwIfAborted()
  updateTrainingJob(job.state, job.name, (current) => {
    finish(current, outcome)
    if (metrics.length > 0) current.document.FinalMetricDataList = metrics
    if (run) current.document.MlflowDetails = run
  })
  for (let attempt = 0; attempt <= progress.attempt; attempt += 1) {
    for (const { name } of hostsOf(training)) {
      const directory = hostDirectory(job.directory, attempt, name)
      const files = ['ml', 'tmp', 'pipes', 'plan.json', 'spec.json']
      await Promise.all(
        files.map((file) => rm(join(directory, file), { recursive: true, force: true })),
      )
    }
  }
}

async function uploaded(
  job: JobContext,
  { document, progress }: TrainingJob,
  hosts: { directory: string }[],
): Promise<Outcome> {
  const outcome = progress.outcome ?? { status: 'Failed', secondary: 'Failed' }
  // A job that never came to be trained has nothing to upload.
  if (document.TrainingStartTime === undefined) return outcome
  try {
    await uploadOutputs(job.objects, document, hosts, { hasModel: outcome.status !== 'Failed' })
    return outcome
  } catch (error) {
    if (!(error instanceof S3Error || error instanceof ApiError)) throw error
    const reason = `ClientError: Artifact upload failed: ${error.message}`
    return { status: 'Failed', secondary: 'Failed', failureReason: reason }
  }
}
