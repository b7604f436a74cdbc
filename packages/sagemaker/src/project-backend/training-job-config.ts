import { invalid } from '@millrace/api/errors'
import { z } from 'zod'

const Count = z.int().positive()
const Texts = z.record(z.string(), z.string())

/**
 * What `--backend-config` says of a training job. Only the image has no default: it is one that is
 * started with `train` and runs `millrace train` then.
 */
const TrainingJobConfig = z.strictObject({
  image: z.string('names the training image and is missing').min(1),
  /** ARN or name; else SAGEMAKER_ROLE of the environment, else the role that the caller has assumed. */
  role: z.string().min(1).optional(),
  region: z.string().min(1).optional(),
  instance_type: z.string().default('ml.m5.large'),
  volume_size_gb: Count.default(30),
  /** For code and models; the account's own `sagemaker-<region>-<account>` when none is named. */
  bucket: z.string().min(1).optional(),
  prefix: z
    .string()
    .regex(/^[\w.-]+(?:\/[\w.-]+)*$/, 'is letters, digits, dots and dashes between slashes')
    .default('sagemaker/projects'),
  output_path: z.string().startsWith('s3://').optional(),
  kms_key_id: z.string().min(1).optional(),
  /** What the job's name begins with; the project's name when there is none. */
  job_name: z.string().min(1).optional(),
  max_run_seconds: Count.max(2_419_200).default(86_400),
  use_spot_instances: z.boolean().default(false),
  max_wait_seconds: Count.optional(),
  checkpoint_s3_uri: z.string().startsWith('s3://').optional(),
  /** Channels by name, each a prefix in S3, found below `/opt/ml/input/data`. */
  inputs: z.record(z.string(), z.string().startsWith('s3://')).default({}),
  /** Variables of the container; everybody who may describe the job reads them. */
  environment: Texts.default({}),
  /** Variables of this machine that the container gets too. */
  pass_environment: z.array(z.string()).default([]),
  /** The tracking server as seen from the job. */
  tracking_uri: z.url({ protocol: /^https?$/ }).optional(),
  subnets: z.array(z.string()).default([]),
  security_group_ids: z.array(z.string()).default([]),
  tags: Texts.default({}),
})
export type TrainingJobConfig = z.infer<typeof TrainingJobConfig>

/**
 * Reads the settings of a training job.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming every setting that is wrong
 */
export function readJobConfig(config: Readonly<Record<string, unknown>>): TrainingJobConfig {
  const read = TrainingJobConfig.safeParse(config)
  if (!read.success) {
    const problems = read.error.issues.map(({ path, message }) =>
      [path.join('.'), message].filter(Boolean).join(': '),
    )
    throw invalid(
      `The backend-config of a SageMaker job is wrong: ${problems.join('; ')}. It takes ` +
        `${Object.keys(TrainingJobConfig.shape).join(', ')}.`,
    )
  }
  const { subnets, security_group_ids, max_run_seconds, max_wait_seconds } = read.data
  if (subnets.length > 0 !== security_group_ids.length > 0) {
    throw invalid('A job in a VPC needs both subnets and security_group_ids in its backend-config.')
  }
  if (max_wait_seconds !== undefined && max_wait_seconds < max_run_seconds) {
    throw invalid(
      `The backend-config has max_wait_seconds ${max_wait_seconds}, which must be at least its ` +
        `max_run_seconds, ${max_run_seconds}: it is the time of waiting and running together.`,
    )
  }
  return read.data
}
