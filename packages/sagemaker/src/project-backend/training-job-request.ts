import type { CreateTrainingJobRequest } from '@aws-sdk/client-sagemaker'
import { invalid } from '@millrace/api/errors'
import type { ProjectJob } from '@millrace/projects/backend'
import type { TrainingJobConfig } from './training-job-config.ts'

/** Where the parts of a job are. */
export interface JobPlaces {
  roleArn: string
  /** The packed project, in S3. */
  code: string
  /** Where the model goes when the configuration does not say. */
  output: string
  trackingUri: string
}

// SageMaker's limits (`HyperParameterValue`, `HyperParameters`, `TrainingJobName`).
const VALUE_CHARACTERS_MAX = 2_500
const HYPERPARAMETERS_MAX = 100
const NAME_CHARACTERS_MAX = 63
const RESERVED = /^(?:sagemaker_|default_user_module_name$|_tuning_objective_metric$)/

/**
 * What tells `millrace train` in the container what to run: the run, the entry point and each
 * parameter, as JSON so that a text stays the text it is.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for what SageMaker cannot hand over
 */
export function hyperparametersOf(
  { entryPoint, parameters, manager }: Pick<ProjectJob, 'entryPoint' | 'parameters' | 'manager'>,
  { runId, code }: { runId: string; code: string },
): Record<string, string> {
  const values = [...parameters.declared, ...parameters.extra]
  for (const [name] of values) {
    if (RESERVED.test(name)) {
      throw invalid(`Parameter ${name} has a name that SageMaker keeps for itself: rename it.`)
    }
  }
  const all = Object.fromEntries(
    [
      ...values,
      ['sagemaker_submit_directory', code],
      ['sagemaker_mlflow_run_entry-point', entryPoint.name],
      ['sagemaker_mlflow_run_run-id', runId],
      ...(manager === undefined ? [] : [['sagemaker_mlflow_run_env-manager', manager]]),
    ].map(([name, value]) => [name, JSON.stringify(value)]),
  ) as Record<string, string>
  for (const [name, { length }] of Object.entries(all)) {
    if (length <= VALUE_CHARACTERS_MAX) continue
    throw invalid(
      `Parameter ${name} has ${length} characters as JSON, and SageMaker takes ` +
        `${VALUE_CHARACTERS_MAX}: put it into a file of the project or in S3.`,
    )
  }
  const count = Object.keys(all).length
  if (count > HYPERPARAMETERS_MAX) {
    throw invalid(
      `The job would have ${count} hyperparameters, and SageMaker takes ${HYPERPARAMETERS_MAX}.`,
    )
  }
  return all
}

/** The job of one run, as `CreateTrainingJob` takes it. */
export function trainingJobRequest(
  job: ProjectJob,
  config: TrainingJobConfig,
  places: JobPlaces,
): CreateTrainingJobRequest {
  const { max_wait_seconds, use_spot_instances, kms_key_id, subnets, security_group_ids } = config
  const channels = Object.entries(config.inputs)
  return {
    TrainingJobName: jobName(config.job_name ?? job.project.name ?? 'project', new Date()),
    AlgorithmSpecification: { TrainingImage: config.image, TrainingInputMode: 'File' },
    RoleArn: places.roleArn,
    HyperParameters: hyperparametersOf(job, { runId: job.run.run_id, code: places.code }),
    Environment: environmentOf(job.environment, config, places.trackingUri),
    ...(channels.length > 0 && { InputDataConfig: channels.map(channel) }),
    OutputDataConfig: {
      S3OutputPath: config.output_path ?? places.output,
      ...(kms_key_id && { KmsKeyId: kms_key_id }),
    },
    ResourceConfig: {
      InstanceType: config.instance_type as 'ml.m5.large',
      InstanceCount: 1,
      VolumeSizeInGB: config.volume_size_gb,
      ...(kms_key_id && { VolumeKmsKeyId: kms_key_id }),
    },
    StoppingCondition: {
      MaxRuntimeInSeconds: config.max_run_seconds,
      ...(use_spot_instances && {
        MaxWaitTimeInSeconds: max_wait_seconds ?? config.max_run_seconds,
      }),
    },
    EnableManagedSpotTraining: use_spot_instances,
    ...(config.checkpoint_s3_uri && { CheckpointConfig: { S3Uri: config.checkpoint_s3_uri } }),
    ...(subnets.length > 0 && {
      VpcConfig: { Subnets: subnets, SecurityGroupIds: security_group_ids },
    }),
    Tags: Object.entries({ 'mlflow.run_id': job.run.run_id, ...config.tags }).map(
      ([Key, Value]) => ({ Key, Value }),
    ),
  }
}

function channel([ChannelName, S3Uri]: [string, string]) {
  const S3DataSource = { S3DataType: 'S3Prefix', S3Uri } as const
  return { ChannelName, DataSource: { S3DataSource } }
}

function environmentOf(
  here: NodeJS.ProcessEnv,
  { environment, pass_environment }: TrainingJobConfig,
  trackingUri: string,
): Record<string, string> {
  const passed = pass_environment.map((name) => {
    const value = here[name]
    if (value !== undefined) return [name, value]
    throw invalid(`pass_environment names ${name}, which is not set.`)
  })
  return { MLFLOW_TRACKING_URI: trackingUri, ...Object.fromEntries(passed), ...environment }
}

/** A name that no other job has, as SageMaker allows it. */
export function jobName(base: string, at: Date): string {
  const time = at.toISOString().slice(0, -1).replaceAll(/\D/g, '-')
  const words = base.replaceAll(/[^a-zA-Z0-9]+/g, '-').replace(/^-/, '')
  const fitting = words.slice(0, NAME_CHARACTERS_MAX - time.length - 1).replace(/-$/, '')
  return `${fitting || 'project'}-${time}`
}
