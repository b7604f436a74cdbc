import { ApiError } from '@millrace/api/errors'
import { invalidRequest } from '../http/aws-error.ts'
import { nothingAt } from '../runner/training/download-channel.ts'
import { findBucket } from '../s3/bucket-store.ts'
import { listObjects } from '../s3/object-listing.ts'
import type { ObjectStore } from '../s3/object-store.ts'
import { parseS3Uri } from '../s3/object-transfer.ts'

/**
 * Refuses a place in S3 where nothing is.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE that names it
 */
export function checkPrefix(objects: ObjectStore, uri: string): void {
  const { bucket, key } = parseS3Uri(uri)
  const isThere =
    findBucket(objects, bucket) !== undefined &&
    listObjects(objects, { bucket, prefix: key, limit: 1 }).objects.length > 0
  if (!isThere) throw nothingAt(uri)
}

/**
 * Refuses a place in S3 whose bucket is not there.
 *
 * @throws AwsError ValidationException, or ApiError for what is no place in S3
 */
export function checkBucket(objects: ObjectStore, uri: string): void {
  const { bucket } = parseS3Uri(uri)
  if (findBucket(objects, bucket)) return
  throw invalidRequest(
    `The bucket '${bucket}' of ${uri} does not exist here: create it first, with ` +
      '`aws s3 mb` or the default_bucket() of a SageMaker session.',
  )
}

/** What a check has to say, as a refusal of AWS. */
export async function inAwsWords<Result>(check: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await check()
  } catch (error) {
    if (error instanceof ApiError) throw invalidRequest(error.message)
    throw error
  }
}
