import { join } from 'node:path'
import type { PlaneSettings } from '../../plane-settings.ts'
import type { ScriptSettings } from './script-mode.ts'
import type { TrainingJob } from './training-job.ts'

/** One of the instances of a job. */
export interface HostConfig {
  hosts: string[]
  current: string
  instanceType: string
  groupName: string
  /** What the job takes for /opt/ml. */
  ml: string
  cpus: number
}

/** The variables of every program: the machine, and where AWS is. */
export function machineEnvironment(
  settings: PlaneSettings,
  region: string,
): Record<string, string> {
  const key = settings.accessKeys[0]
  return {
    LANG: 'C.UTF-8',
    HOME: '/tmp',
    USER: 'sagemaker-user',
    LOGNAME: 'sagemaker-user',
    PYTHONUNBUFFERED: '1',
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_ACCESS_KEY_ID: key?.accessKeyId ?? 'millrace',
    AWS_SECRET_ACCESS_KEY: key?.secretAccessKey ?? 'millrace',
    AWS_ENDPOINT_URL: settings.url,
    S3_ENDPOINT_URL: settings.url,
  }
}

/** The variables of every training job: who it is, where AWS and the tracking server are, and nothing of ours. */
export function platformEnvironment(
  settings: PlaneSettings,
  job: TrainingJob,
  region: string,
): Record<string, string> {
  return {
    ...machineEnvironment(settings, region),
    TRAINING_JOB_NAME: job.name,
    TRAINING_JOB_ARN: job.arn,
    ...trackingEnvironment(settings, job),
    ...job.document.Environment,
  }
}

/**
 * What makes a job's MLflow runs known as its own: MLflow's clients put the tags of
 * MLFLOW_RUN_CONTEXT on every run that they start, whatever experiment the script chooses.
 */
function trackingEnvironment(
  { trackingUri }: PlaneSettings,
  job: TrainingJob,
): Record<string, string> {
  if (trackingUri === undefined) return {}
  const { MlflowConfig, ExperimentConfig } = job.document
  const { mlflow } = job.progress
  const experiment =
    mlflow?.experimentName ?? MlflowConfig?.MlflowExperimentName ?? ExperimentConfig?.ExperimentName
  const tags = {
    'sagemaker.training_job_name': job.name,
    'sagemaker.training_job_arn': job.arn,
    ...(mlflow?.parentRunId === undefined ? {} : { 'mlflow.parentRunId': mlflow.parentRunId }),
  }
  return {
    MLFLOW_TRACKING_URI: trackingUri,
    MLFLOW_RUN_CONTEXT: JSON.stringify(tags),
    ...(experiment === undefined ? {} : { MLFLOW_EXPERIMENT_NAME: experiment }),
    ...(MlflowConfig?.MlflowRunName === undefined
      ? {}
      : { MLFLOW_RUN_NAME: MlflowConfig.MlflowRunName }),
    MLFLOW_DISABLE_TELEMETRY: 'true',
    GIT_PYTHON_REFRESH: 'quiet',
  }
}

/** The `SM_*` variables that SageMaker's training toolkit 5 gives to user code. */
export function scriptEnvironment(
  { user, framework }: ScriptSettings,
  host: HostConfig,
  script: { entry: string; args: string[]; moduleDir: string; frameworkName: string },
  channels: Record<string, object>,
): Record<string, string> {
  const { ml, hosts, current, instanceType, groupName, cpus } = host
  const groups = [groupName]
  const values: Record<string, unknown> = {
    SM_HOSTS: hosts,
    SM_NETWORK_INTERFACE_NAME: 'lo',
    SM_HPS: user,
    SM_USER_ENTRY_POINT: script.entry,
    SM_FRAMEWORK_PARAMS: framework,
    SM_RESOURCE_CONFIG: resourceConfig(host),
    SM_INPUT_DATA_CONFIG: channels,
    SM_OUTPUT_DATA_DIR: join(ml, 'output', 'data'),
    SM_CHANNELS: Object.keys(channels).sort(),
    SM_CURRENT_HOST: current,
    SM_CURRENT_INSTANCE_TYPE: instanceType,
    SM_CURRENT_INSTANCE_GROUP: groupName,
    SM_CURRENT_INSTANCE_GROUP_HOSTS: hosts,
    SM_INSTANCE_GROUPS: groups,
    SM_INSTANCE_GROUPS_DICT: {
      [groupName]: { instance_group_name: groupName, instance_type: instanceType, hosts },
    },
    SM_DISTRIBUTION_INSTANCE_GROUPS: [],
    SM_IS_HETERO: false,
    SM_MODULE_NAME: script.entry.replace(/\.py$/, ''),
    SM_LOG_LEVEL: framework['sagemaker_container_log_level'] ?? 20,
    SM_FRAMEWORK_MODULE: `${script.frameworkName}:main`,
    SM_INPUT_DIR: join(ml, 'input'),
    SM_INPUT_CONFIG_DIR: join(ml, 'input', 'config'),
    SM_OUTPUT_DIR: join(ml, 'output'),
    SM_NUM_CPUS: cpus,
    SM_NUM_GPUS: 0,
    SM_NUM_NEURONS: 0,
    SM_MODEL_DIR: join(ml, 'model'),
    SM_MODULE_DIR: script.moduleDir,
    SM_USER_ARGS: script.args,
    SM_OUTPUT_INTERMEDIATE_DIR: join(ml, 'output', 'intermediate'),
    SM_TRAINING_ENV: {
      channel_input_dirs: Object.fromEntries(
        Object.keys(channels).map((name) => [name, join(ml, 'input', 'data', name)]),
      ),
      current_host: current,
      hosts,
      hyperparameters: user,
      job_name: framework['sagemaker_job_name'] ?? '',
      model_dir: join(ml, 'model'),
      module_name: script.entry.replace(/\.py$/, ''),
      num_cpus: cpus,
      num_gpus: 0,
      output_data_dir: join(ml, 'output', 'data'),
      user_entry_point: script.entry,
    },
  }
  for (const name of Object.keys(channels)) {
    values[`SM_CHANNEL_${name.toUpperCase()}`] = join(ml, 'input', 'data', name)
  }
  for (const [name, value] of Object.entries(user)) values[`SM_HP_${name.toUpperCase()}`] = value
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, environmentText(value)]),
  )
}

/** `resourceconfig.json`: who this instance is and who the others are. */
export function resourceConfig({ hosts, current, instanceType, groupName }: HostConfig): object {
  return {
    current_host: current,
    current_instance_type: instanceType,
    current_group_name: groupName,
    hosts,
    instance_groups: [{ instance_group_name: groupName, instance_type: instanceType, hosts }],
    network_interface_name: 'lo',
  }
}

/** Texts as they are, nothing for null, and else JSON with its keys in order. */
function environmentText(value: unknown): string {
  if (value === null || value === undefined) return ''
  return typeof value === 'string' ? value : JSON.stringify(sorted(value))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]))
}
