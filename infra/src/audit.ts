import { Duration, RemovalPolicy, type Stack } from 'aws-cdk-lib'
import * as cloudtrail from 'aws-cdk-lib/aws-cloudtrail'
import type * as kms from 'aws-cdk-lib/aws-kms'
import * as s3 from 'aws-cdk-lib/aws-s3'

/**
 * A trail of every call to AWS in this account and region and of every read and write of an
 * artifact. When `isLocked`, what it wrote cannot be changed or deleted by anybody for 400 days.
 */
export function addAudit(
  stack: Stack,
  {
    logs,
    artifacts,
    key,
    isLocked,
  }: {
    logs: s3.IBucket
    artifacts: s3.IBucket
    key: kms.Key
    isLocked: boolean
  },
): s3.Bucket {
  const bucket = new s3.Bucket(stack, 'Audit', {
    encryption: s3.BucketEncryption.KMS,
    encryptionKey: key,
    bucketKeyEnabled: true,
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    versioned: true,
    serverAccessLogsBucket: logs,
    serverAccessLogsPrefix: 'audit/',
    removalPolicy: RemovalPolicy.RETAIN,
    ...(isLocked && {
      objectLockEnabled: true,
      objectLockDefaultRetention: s3.ObjectLockRetention.compliance(Duration.days(400)),
    }),
  })
  const trail = new cloudtrail.Trail(stack, 'Trail', {
    bucket,
    encryptionKey: key,
    enableFileValidation: true,
    isMultiRegionTrail: false,
    includeGlobalServiceEvents: true,
  })
  trail.addS3EventSelector([{ bucket: artifacts }], { includeManagementEvents: true })
  return bucket
}
