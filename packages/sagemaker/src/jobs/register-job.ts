import { DescribeTrainingJobCommand } from '@aws-sdk/client-sagemaker'
import { ApiError, invalid, notFound } from '@millrace/api/errors'
import type { Client } from '@millrace/client/client'
import { isAbsent } from '../access/aws-clients.ts'
import type { DeploymentContext } from '../deployments/deployment-context.ts'
import { clientOf, type ModelVersionId } from '../deployments/model-version.ts'

/** The model of a training job under a name of the registry. */
export interface RegisterRequest {
  trainingJob: string
  /** Made when there is none of that name. */
  registeredModel: string
  alias: string | undefined
}

const JOB_TAG = 'sagemaker.training_job_name'
const ARN_TAG = 'sagemaker.training_job_arn'
const RUN_TAG = 'millrace.run_id'

/**
 * Registers what a training job has made as the next version of a model: the MLflow model that its run
 * has logged, or else its `model.tar.gz`. The version's tags name the job and the run.
 *
 * @throws ApiError INVALID_STATE for a job that has not completed
 */
export async function registerJob(
  { aws, tracking }: DeploymentContext,
  { trainingJob, registeredModel, alias }: RegisterRequest,
): Promise<ModelVersionId & { source: string }> {
  if (!tracking)
    throw invalid('Models are registered at a tracking server: set MLFLOW_TRACKING_URI.')
  const job = await aws.sagemaker
    .send(new DescribeTrainingJobCommand({ TrainingJobName: trainingJob }))
    .catch((error: unknown) => {
      if (!isAbsent(error)) throw error
      throw notFound(`There is no training job '${trainingJob}' in ${aws.region}.`)
    })
  if (job.TrainingJobStatus !== 'Completed') {
    const why = job.FailureReason ? `: ${job.FailureReason}` : ''
    throw new ApiError(
      'INVALID_STATE',
      `The training job '${trainingJob}' is ${job.TrainingJobStatus}${why}`,
    )
  }
  const client = clientOf(tracking)
  const run = await findRun(client, trainingJob)
  const logged = run && (await findLoggedModel(client, run))
  const source = logged?.source ?? job.ModelArtifacts?.S3ModelArtifacts
  if (!source) throw notFound(`The training job '${trainingJob}' has left no model.`)
  await makeRegisteredModel(client, registeredModel)
  const tags = [
    { key: JOB_TAG, value: trainingJob },
    { key: ARN_TAG, value: job.TrainingJobArn ?? '' },
    ...(run ? [{ key: RUN_TAG, value: run.runId }] : []),
  ]
  const { model_version } = await client.modelVersions.create({
    name: registeredModel,
    source,
    tags,
    ...(run && { run_id: run.runId }),
    ...(logged?.modelId && { model_id: logged.modelId }),
  })
  const { version } = model_version
  if (alias) await client.registeredModels.setAlias({ name: registeredModel, alias, version })
  return { name: registeredModel, version, source }
}

interface JobRun {
  runId: string
  experimentId: string
  artifactUri: string
}

/** The run that the job's script has started, the newest of several. */
async function findRun(client: Client, trainingJob: string): Promise<JobRun | undefined> {
  const { experiments = [] } = await client.experiments.search({ max_results: 1_000 })
  const { runs = [] } = await client.runs.search({
    experiment_ids: experiments.map(({ experiment_id }) => experiment_id),
    filter: `tags.\`${JOB_TAG}\` = '${trainingJob.replaceAll("'", '')}'`,
    order_by: ['attributes.start_time DESC'],
    max_results: 1,
  })
  const info = runs[0]?.info
  if (!info) return undefined
  return {
    runId: info.run_id,
    experimentId: info.experiment_id,
    artifactUri: info.artifact_uri ?? '',
  }
}

/** The model that a run has logged: as clients from 3.0 on do it, or as those before. */
async function findLoggedModel(
  client: Client,
  run: JobRun,
): Promise<{ source: string; modelId?: string } | undefined> {
  const { models = [] } = await client.loggedModels.search({
    experiment_ids: [run.experimentId],
    filter: `source_run_id = '${run.runId}'`,
  })
  const newest = models[0]?.info
  if (newest) return { source: newest.artifact_uri, modelId: newest.model_id }
  const { run: full } = await client.runs.get({ run_id: run.runId })
  const history = full.data.tags?.find(({ key }) => key === 'mlflow.log-model.history')?.value
  const [first] = history ? (JSON.parse(history) as { artifact_path?: string }[]) : []
  return first?.artifact_path ? { source: `${run.artifactUri}/${first.artifact_path}` } : undefined
}

async function makeRegisteredModel({ registeredModels }: Client, name: string): Promise<void> {
  try {
    await registeredModels.create({ name })
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'RESOURCE_ALREADY_EXISTS') throw error
  }
}
