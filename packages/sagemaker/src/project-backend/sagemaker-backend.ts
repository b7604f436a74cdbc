import { existsSync } from 'node:fs'
import { isAbsolute, join, sep } from 'node:path'
import { GetRoleCommand } from '@aws-sdk/client-iam'
import { CreateTrainingJobCommand, type CreateTrainingJobRequest } from '@aws-sdk/client-sagemaker'
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts'
import { ApiError, invalid } from '@millrace/api/errors'
import type { Backend, ProjectJob } from '@millrace/projects/backend'
import { FAILURE_TAG, type ProjectEnding } from '@millrace/projects/tracked-run'
import { PATIENT, trackingClient } from '@millrace/projects/tracking-client'
import { toAwsAdvice } from '../access/aws-advice.ts'
import { type AwsClients, openAws } from '../access/aws-clients.ts'
import { followJob } from './follow-job.ts'
import { jobBucket, stageProject } from './staged-project.ts'
import { readJobConfig, type TrainingJobConfig } from './training-job-config.ts'
import { hyperparametersOf, trainingJobRequest } from './training-job-request.ts'
import { followTrainingLog } from './training-log.ts'

const POLL_MS = { amazon: 5_000, other: 500 }
// CloudWatch shows lines some seconds after they were written.
const LATE_MS = { amazon: 5_000, other: 0 }
const SECRETS = ['MLFLOW_TRACKING_TOKEN', 'MLFLOW_TRACKING_USERNAME', 'MLFLOW_TRACKING_PASSWORD']

/**
 * Runs projects as training jobs of SageMaker, on AWS or on whatever `AWS_ENDPOINT_URL` names. The
 * run is there first; the project goes to S3, and a container that is started with `millrace train`
 * runs it in that run.
 */
export const sagemakerBackend: Backend = {
  check(job) {
    const config = readJobConfig(job.config)
    if (job.project.environment.kind === 'docker') {
      throw invalid(
        'The project has a docker_env, and a training container cannot start containers: give it a ' +
          'python_env or conda_env, and name the image in the backend-config.',
      )
    }
    if (job.buildImage || job.dockerArgs.size > 0) {
      throw invalid(
        'The sagemaker backend takes neither --build-image nor --docker-args: ' +
          '`millrace images build training --code DIR` builds an image.',
      )
    }
    checkPaths(job)
    hyperparametersOf(job, { runId: '', code: '' })
    trackingUriOf(job, config)
  },

  async run(job) {
    const config = readJobConfig(job.config)
    using aws = await openAws({ ...job, region: config.region, assumeRoleArn: undefined })
    const { account, arn } = await whoRuns(aws)
    const bucket = await jobBucket(aws, account, config)
    const request = trainingJobRequest(job, config, {
      roleArn: await roleOf(aws, { account, arn }, config, job.environment),
      code: await stageProject(aws.s3, job.project.directory, { bucket, prefix: config.prefix }),
      output: `s3://${bucket}/${config.prefix}/output`,
      trackingUri: trackingUriOf(job, config),
    })
    tellOfSecrets(job, request)
    job.signal.throwIfAborted()
    return await runAsJob(job, aws, request)
  },
}

async function runAsJob(
  job: ProjectJob,
  aws: AwsClients,
  request: CreateTrainingJobRequest,
): Promise<ProjectEnding> {
  const name = request.TrainingJobName ?? ''
  const { TrainingJobArn = '' } = await aws.sagemaker
    .send(new CreateTrainingJobCommand(request))
    .catch((error: unknown) => {
      throw refusal(error, name)
    })
  job.log(`Training job ${name} runs ${job.entryPoint.name} in run ${job.run.run_id}`)
  await job.setTag('sagemaker.training_job_name', name)
  await job.setTag('sagemaker.training_job_arn', TrainingJobArn)
  const where = isAmazon(job.environment) ? 'amazon' : 'other'
  const followed = await followJob({
    ...job,
    sagemaker: aws.sagemaker,
    name,
    look: followTrainingLog(aws.logs, name, {
      onLine: (line) => job.onOutput(Buffer.from(`${line}\n`), 'stdout'),
      log: job.log,
    }),
    pollMs: POLL_MS[where],
    lateMs: LATE_MS[where],
  })
  const model = followed.job.ModelArtifacts?.S3ModelArtifacts
  if (model) {
    job.log(`The model is at ${model}`)
    await job.setTag('sagemaker.model_data', model)
  }
  await describeAsOurs(job, followed.ending)
  return followed.ending
}

/**
 * Sets what the container has said of the run as it sees it, and the end of a run that went on after
 * a spot instance was taken away, which had ended it.
 */
async function describeAsOurs(job: ProjectJob, { status }: ProjectEnding): Promise<void> {
  await job.setTag('mlflow.project.backend', 'sagemaker')
  if (status !== 'FINISHED') return
  const { run_id } = job.run
  const { runs } = trackingClient(job.tracking, PATIENT)
  const { run } = await runs.get({ run_id })
  if (run.info.status !== 'KILLED') return
  await runs.update({ run_id, status, end_time: Date.now() })
  await runs.deleteTag({ run_id, key: FAILURE_TAG })
}

/** What is on this machine alone would be missing in the container. */
function checkPaths({
  entryPoint,
  parameters,
  project,
}: Pick<ProjectJob, 'entryPoint' | 'parameters' | 'project'>): void {
  for (const [name, { type }] of entryPoint.parameters) {
    const value = parameters.declared.get(name)
    if (type !== 'path' || value === undefined) continue
    const isElsewhere = /^[a-z][a-z0-9+.-]*:/i.test(value) && !/^file:/i.test(value)
    const isInput = value.startsWith('/opt/ml/input/')
    const inside = join(project.directory, value)
    const isInside =
      !isAbsolute(value) && inside.startsWith(`${project.directory}${sep}`) && existsSync(inside)
    if (isElsewhere || isInput || isInside) continue
    throw invalid(
      `Parameter ${name} is ${value}, which is not in the project, and a training job sees no other ` +
        'files of this machine: give an s3:// or http(s) URI, or a path below /opt/ml/input/data ' +
        'with inputs in the backend-config.',
    )
  }
}

/** The server as seen from the job. */
function trackingUriOf(
  { environment, trackingUri }: Pick<ProjectJob, 'environment' | 'trackingUri'>,
  { tracking_uri }: TrainingJobConfig,
): string {
  const uri = tracking_uri ?? trackingUri
  const host = URL.parse(uri)?.hostname ?? ''
  if (isAmazon(environment) && /^(?:localhost|\[::1\]|127\.[\d.]+)$/.test(host)) {
    throw invalid(
      `The tracking server is ${uri}, which no instance of AWS reaches: say its other address as ` +
        'tracking_uri in the backend-config. (For SageMaker on this machine: eval "$(millrace env)".)',
    )
  }
  return uri
}

function isAmazon(environment: NodeJS.ProcessEnv): boolean {
  return !environment['AWS_ENDPOINT_URL'] && !environment['AWS_ENDPOINT_URL_SAGEMAKER']
}

/** Secrets are in nobody's job description unless somebody says so. */
function tellOfSecrets({ environment, log }: ProjectJob, request: CreateTrainingJobRequest): void {
  const kept = SECRETS.filter((name) => environment[name] && !request.Environment?.[name])
  if (kept.length === 0) return
  log(
    `${kept.join(', ')} stay here: who may describe the job would read them. The job has to get ` +
      'into the tracking server by its image, or name them in pass_environment.',
  )
}

async function whoRuns({ sts }: AwsClients): Promise<{ account: string; arn: string }> {
  try {
    const { Account = '', Arn = '' } = await sts.send(new GetCallerIdentityCommand({}))
    return { account: Account, arn: Arn }
  } catch (error) {
    throw toAwsAdvice(error, 'sts:GetCallerIdentity')
  }
}

async function roleOf(
  { iam }: AwsClients,
  { account, arn }: { account: string; arn: string },
  config: TrainingJobConfig,
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  const named = config.role ?? environment['SAGEMAKER_ROLE']
  const [, partition] = arn.split(':')
  if (named?.startsWith('arn:')) return named
  if (named) return `arn:${partition}:iam::${account}:role/${named}`
  const [, RoleName] = /:assumed-role\/([^/]+)\//.exec(arn) ?? []
  if (RoleName === undefined) {
    throw invalid(
      `You are ${arn}, which is no role that a training job could run as: name one as role in the ` +
        'backend-config, or in SAGEMAKER_ROLE.',
    )
  }
  const { Role } = await iam.send(new GetRoleCommand({ RoleName })).catch((error: unknown) => {
    throw toAwsAdvice(error, `iam:GetRole on ${RoleName}`)
  })
  if (Role?.Arn) return Role.Arn
  throw new ApiError('INVALID_STATE', `IAM gives no ARN for the role ${RoleName}.`)
}

function refusal(error: unknown, name: string): unknown {
  const advised = toAwsAdvice(error, 'sagemaker:CreateTrainingJob')
  if (advised instanceof ApiError || !(error instanceof Error)) return advised
  return new ApiError(
    'INVALID_PARAMETER_VALUE',
    `SageMaker refuses job ${name}: ${error.message}`,
    {
      cause: error,
    },
  )
}
