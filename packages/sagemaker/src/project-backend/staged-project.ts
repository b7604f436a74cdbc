import { createReadStream } from 'node:fs'
import { mkdtemp, realpath, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type BucketLocationConstraint,
  CreateBucketCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { ApiError } from '@millrace/api/errors'
import { toAwsAdvice } from '../access/aws-advice.ts'
import type { AwsClients } from '../access/aws-clients.ts'
import { packProject } from './project-archive.ts'
import type { TrainingJobConfig } from './training-job-config.ts'

/**
 * The bucket of a job. The account's own is made when it is missing; one that was named is not, and
 * must belong to whoever's role is used.
 *
 * @throws ApiError saying which bucket is missing or whose it is
 */
export async function jobBucket(
  { s3, region }: AwsClients,
  account: string,
  { bucket }: TrainingJobConfig,
): Promise<string> {
  const Bucket = bucket ?? `sagemaker-${region}-${account}`
  try {
    // Names of buckets can be guessed: the account's own must not be somebody else's.
    const owner = bucket === undefined ? { ExpectedBucketOwner: account } : {}
    await s3.send(new HeadBucketCommand({ Bucket, ...owner }))
  } catch (error) {
    const status = statusOf(error)
    if (status === 404 && bucket === undefined) await createBucket(s3, Bucket, region)
    else if (status === 404) {
      throw new ApiError(
        'RESOURCE_DOES_NOT_EXIST',
        `There is no bucket ${Bucket}: make it, or leave bucket out of the backend-config.`,
      )
    } else if (status === 403) {
      throw new ApiError(
        'PERMISSION_DENIED',
        `The bucket ${Bucket} belongs to another account, or you lack s3:ListBucket on it: name ` +
          'another one as bucket in the backend-config.',
      )
    } else throw toAwsAdvice(error, `s3:ListBucket on ${Bucket}`)
  }
  return Bucket
}

async function createBucket(s3: S3Client, Bucket: string, region: string): Promise<void> {
  const LocationConstraint = region as BucketLocationConstraint
  await s3
    .send(
      new CreateBucketCommand({
        Bucket,
        // The one region that must not be named.
        ...(region !== 'us-east-1' && { CreateBucketConfiguration: { LocationConstraint } }),
      }),
    )
    .catch((error: unknown) => {
      if (error instanceof Error && error.name === 'BucketAlreadyOwnedByYou') return
      throw toAwsAdvice(error, 's3:CreateBucket')
    })
}

/** Packs a project and puts it into a bucket, unless the same files are there; its place in S3. */
export async function stageProject(
  s3: S3Client,
  directory: string,
  { bucket: Bucket, prefix }: { bucket: string; prefix: string },
): Promise<string> {
  const folder = await mkdtemp(join(await realpath(tmpdir()), 'millrace-code-'))
  try {
    const archive = join(folder, 'code.tar.gz')
    const Key = `${prefix}/code/${await packProject(directory, archive)}/code.tar.gz`
    try {
      await s3.send(new HeadObjectCommand({ Bucket, Key }))
    } catch (error) {
      if (statusOf(error) !== 404 && statusOf(error) !== 403) throw error
      const { size } = await stat(archive)
      await s3.send(
        new PutObjectCommand({ Bucket, Key, Body: createReadStream(archive), ContentLength: size }),
      )
    }
    return `s3://${Bucket}/${Key}`
  } catch (error) {
    throw toAwsAdvice(error, `s3:PutObject on ${Bucket}/${prefix}`)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function statusOf(error: unknown): number | undefined {
  const { $metadata } = error as { $metadata?: { httpStatusCode?: number } }
  return $metadata?.httpStatusCode
}
