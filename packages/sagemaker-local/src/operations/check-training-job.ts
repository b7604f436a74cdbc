import { invalidRequest } from '../http/aws-error.ts'
import { resolveImage } from '../runner/images/resolve-image.ts'
import { instanceSize } from '../runner/instance/instance-types.ts'
import { compilePattern } from '../runner/instance/metric-patterns.ts'
import { checkBucket, checkPrefix, inAwsWords } from './check-storage.ts'
import type { OperationContext } from './operation.ts'
import type { CreateTrainingJobInput } from './training-job-input.ts'

/**
 * Refuses a training job that could not be carried out, before it is one. Also for the jobs of a
 * tuning job, whose definition is of the same form.
 *
 * @throws AwsError ValidationException that says what to change
 */
export async function checkTrainingJob(
  { settings, objects, images }: Pick<OperationContext, 'settings' | 'objects' | 'images'>,
  input: Omit<CreateTrainingJobInput, 'TrainingJobName'>,
): Promise<void> {
  checkStopping(input)
  checkMetrics(input)
  checkInstances(input)
  const { AlgorithmSpecification, InputDataConfig = [], OutputDataConfig, CheckpointConfig } = input
  await inAwsWords(() =>
    resolveImage({
      image: AlgorithmSpecification.TrainingImage,
      hasEntrypoint: AlgorithmSpecification.ContainerEntrypoint !== undefined,
      imagesFile: settings.imagesFile,
      images,
      program: 'train',
    }),
  )
  const names = InputDataConfig.map(({ ChannelName }) => ChannelName)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw invalidRequest(`The channel name '${twice}' occurs twice.`)
  for (const { DataSource, ChannelName } of InputDataConfig) {
    const uri = DataSource.S3DataSource?.S3Uri
    if (uri === undefined) {
      throw invalidRequest(
        `The channel ${ChannelName} has no S3DataSource; file systems of AWS are not served here.`,
      )
    }
    await inAwsWords(() => checkPrefix(objects, uri))
  }
  for (const uri of [OutputDataConfig.S3OutputPath, CheckpointConfig?.S3Uri]) {
    if (uri !== undefined) await inAwsWords(() => checkBucket(objects, uri))
  }
}

function checkStopping({
  StoppingCondition,
  EnableManagedSpotTraining,
}: Omit<CreateTrainingJobInput, 'TrainingJobName'>): void {
  const { MaxRuntimeInSeconds = 86_400, MaxWaitTimeInSeconds } = StoppingCondition ?? {}
  if (EnableManagedSpotTraining === true && MaxWaitTimeInSeconds === undefined) {
    throw invalidRequest(
      'MaxWaitTimeInSeconds is required in StoppingCondition when EnableManagedSpotTraining is set.',
    )
  }
  if (MaxWaitTimeInSeconds === undefined) return
  if (EnableManagedSpotTraining !== true) {
    throw invalidRequest(
      'MaxWaitTimeInSeconds is for managed spot training: set EnableManagedSpotTraining, or leave it out.',
    )
  }
  if (MaxWaitTimeInSeconds < MaxRuntimeInSeconds) {
    throw invalidRequest(
      `Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to ` +
        `MaxRuntimeInSeconds: ${MaxWaitTimeInSeconds} is less than ${MaxRuntimeInSeconds}.`,
    )
  }
}

function checkMetrics({ AlgorithmSpecification }: Omit<CreateTrainingJobInput, 'TrainingJobName'>) {
  for (const { Name, Regex } of AlgorithmSpecification.MetricDefinitions ?? []) {
    try {
      compilePattern(Regex)
    } catch (error) {
      throw invalidRequest(
        `The regular expression '${Regex}' of the metric '${Name}' cannot be used: ` +
          `${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }
}

function checkInstances({ ResourceConfig }: Omit<CreateTrainingJobInput, 'TrainingJobName'>): void {
  const types = ResourceConfig.InstanceGroups?.map(({ InstanceType }) => InstanceType) ?? [
    ResourceConfig.InstanceType,
  ]
  for (const type of types) {
    if (type === undefined || instanceSize(type) === undefined) {
      throw invalidRequest(
        `1 validation error detected: Value '${type ?? 'null'}' at 'resourceConfig.instanceType' failed to ` +
          'satisfy constraint: Member must be an instance type such as ml.m5.xlarge',
      )
    }
  }
}
