import type { TransformRequest } from '@millrace/sagemaker/transform/transform-job'
import type { Command } from 'commander'
import { contextOf } from './deployments-options.ts'
import { wholeNumber } from './models-options.ts'
import {
  addSageMakerModel,
  modelConfig,
  type SageMakerModelFlags,
  type WaitFlags,
} from './sagemaker-options.ts'

interface DeployFlags extends SageMakerModelFlags, WaitFlags {
  jobName: string
  inputDataType: string
  inputUri: string
  contentType: string
  outputPath: string
  compressionType: string
  splitType: string
  accept: string
  assembleWith: string
  inputFilter: string
  outputFilter: string
  joinResource: string
  instanceType: string
  instanceCount: number
}

interface TerminateFlags extends WaitFlags {
  jobName: string
  regionName?: string
}

/** Adds `sagemaker deploy-transform-job` and `terminate-transform-job`. */
export function addTransformJobs(sagemaker: Command): void {
  addWaiting(addSageMakerModel(sagemaker.command('deploy-transform-job')))
    .description('Have a model answer objects in S3 as a batch transform job.')
    .requiredOption('-n, --job-name <name>', 'name of the job')
    .requiredOption('--input-data-type <type>', 'S3Prefix or ManifestFile')
    .requiredOption('-u, --input-uri <uri>', 'prefix or manifest in S3')
    .requiredOption('--content-type <type>', 'what the objects are, such as text/csv')
    .requiredOption('-o, --output-path <uri>', 'where in S3 the answers go')
    .option('--compression-type <type>', 'None or Gzip', 'None')
    .option('-s, --split-type <type>', 'None, Line, RecordIO or TFRecord', 'Line')
    .option('-a, --accept <type>', 'what the answers are to be', 'text/csv')
    .option('--assemble-with <how>', 'None or Line', 'Line')
    .option('--input-filter <path>', 'JSONPath of what the model is given', '$')
    .option('--output-filter <path>', 'JSONPath of what is kept of the answer', '$')
    .option('-j, --join-resource <how>', 'Input joins each record with its answer', 'None')
    .option('-t, --instance-type <type>', 'machine to run on', 'ml.m4.xlarge')
    .option('-c, --instance-count <count>', 'machines', wholeNumber(1, 1_000), 1)
    .action(deploy)
  addWaiting(sagemaker.command('terminate-transform-job').helpOption('--help'))
    .description('Stop a batch transform job and remove its model and upload.')
    .requiredOption('-n, --job-name <name>', 'name of the job')
    .option('-r, --region-name <region>', 'default: of your AWS configuration, else us-west-2')
    .action(terminate)
}

function addWaiting(command: Command): Command {
  return command
    .option('--archive', 'keep the model and its upload')
    .option('--async', 'do not wait for the end; needs --archive')
    .option('--timeout <seconds>', 'how long to wait', wholeNumber(1, 1_000_000), 1_200)
}

async function deploy(flags: DeployFlags): Promise<void> {
  const config = {
    ...(await modelConfig(flags)),
    ...waiting(flags),
    instance_type: flags.instanceType,
    instance_count: flags.instanceCount,
  }
  const { withAws } = await import('@millrace/sagemaker/deployments/deployment-context')
  const { deployTransformJob } = await import('@millrace/sagemaker/transform/transform-job')
  const { jobName: name, modelUri, flavor } = flags
  // What AWS takes in these is AWS's to say.
  const parts = {
    input: {
      DataSource: { S3DataSource: { S3DataType: flags.inputDataType, S3Uri: flags.inputUri } },
      ContentType: flags.contentType,
      CompressionType: flags.compressionType,
      SplitType: flags.splitType,
    },
    output: {
      S3OutputPath: flags.outputPath,
      Accept: flags.accept,
      AssembleWith: flags.assembleWith,
    },
    processing: {
      InputFilter: flags.inputFilter,
      OutputFilter: flags.outputFilter,
      JoinSource: flags.joinResource,
    },
  } as Pick<TransformRequest, 'input' | 'output' | 'processing'>
  await withAws(await contextOf(config.region_name), (aws) =>
    deployTransformJob(aws, { name, modelUri, flavor, config, ...parts }),
  )
}

async function terminate(flags: TerminateFlags): Promise<void> {
  const { withAws } = await import('@millrace/sagemaker/deployments/deployment-context')
  const { terminateTransformJob } = await import('@millrace/sagemaker/transform/transform-job')
  await withAws(await contextOf(flags.regionName), (aws) =>
    terminateTransformJob(aws, flags.jobName, waiting(flags)),
  )
}

function waiting({ archive, async, timeout }: WaitFlags) {
  return { archive: archive === true, synchronous: async !== true, timeout_seconds: timeout }
}
