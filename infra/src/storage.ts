import { Duration, RemovalPolicy, type Stack } from 'aws-cdk-lib'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as kms from 'aws-cdk-lib/aws-kms'
import * as s3 from 'aws-cdk-lib/aws-s3'
import { accept } from './accepted-findings.ts'

/** The key that encrypts what the stack keeps; it stays when the stack goes. */
export function addKey(stack: Stack): kms.Key {
  const key = new kms.Key(stack, 'Key', {
    description: 'What a Millrace keeps',
    enableKeyRotation: true,
    removalPolicy: RemovalPolicy.RETAIN,
  })
  const logs = new iam.ServicePrincipal(`logs.${stack.region}.amazonaws.com`)
  key.addToResourcePolicy(
    new iam.PolicyStatement({
      principals: [logs],
      actions: [
        'kms:Encrypt',
        'kms:Decrypt',
        'kms:ReEncrypt*',
        'kms:GenerateDataKey*',
        'kms:DescribeKey',
      ],
      resources: ['*'],
      conditions: {
        ArnLike: {
          'kms:EncryptionContext:aws:logs:arn': `arn:${stack.partition}:logs:${stack.region}:${stack.account}:log-group:*`,
        },
      },
    }),
  )
  for (const service of ['cloudwatch', 'budgets']) {
    key.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [new iam.ServicePrincipal(`${service}.amazonaws.com`)],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
        resources: ['*'],
        conditions: { StringEquals: { 'aws:SourceAccount': stack.account } },
      }),
    )
  }
  return key
}

/**
 * Where load balancers and buckets write who asked for what. Elastic Load Balancing writes to no
 * bucket with a key of one's own, so this one has Amazon's.
 */
export function addLogBucket(stack: Stack): s3.Bucket {
  return new s3.Bucket(stack, 'AccessLogs', {
    encryption: s3.BucketEncryption.S3_MANAGED,
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    versioned: true,
    removalPolicy: RemovalPolicy.RETAIN,
    serverAccessLogsPrefix: 'this-bucket/',
    lifecycleRules: [
      { expiration: Duration.days(400), noncurrentVersionExpiration: Duration.days(30) },
    ],
  })
}

/** The bucket of the artifacts: private, encrypted, with the versions of a month, kept for ever. */
export function addArtifactBucket(stack: Stack, logs: s3.IBucket, key?: kms.IKey): s3.Bucket {
  return new s3.Bucket(stack, 'Artifacts', {
    ...(key
      ? { encryption: s3.BucketEncryption.KMS, encryptionKey: key, bucketKeyEnabled: true }
      : { encryption: s3.BucketEncryption.S3_MANAGED }),
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    versioned: true,
    removalPolicy: RemovalPolicy.RETAIN,
    serverAccessLogsBucket: logs,
    serverAccessLogsPrefix: 'artifacts/',
    lifecycleRules: [
      {
        abortIncompleteMultipartUploadAfter: Duration.days(7),
        noncurrentVersionExpiration: Duration.days(30),
      },
    ],
  })
}

/** Lets the server do with the bucket what it does, and no more: with its objects below `artifacts/`. */
export function allowArtifacts(
  stack: Stack,
  role: iam.IRole,
  bucket: s3.Bucket,
  key?: kms.IKey,
): void {
  const statements = [
    new iam.PolicyStatement({
      sid: 'Artifacts',
      actions: [
        's3:GetObject',
        's3:PutObject',
        's3:DeleteObject',
        's3:AbortMultipartUpload',
        's3:ListMultipartUploadParts',
      ],
      resources: [bucket.arnForObjects('artifacts/*')],
    }),
    new iam.PolicyStatement({
      sid: 'ListArtifacts',
      actions: ['s3:ListBucket'],
      resources: [bucket.bucketArn],
      conditions: { StringLike: { 's3:prefix': ['artifacts', 'artifacts/*'] } },
    }),
  ]
  if (key) {
    statements.push(
      new iam.PolicyStatement({
        sid: 'ArtifactKey',
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: [key.keyArn],
      }),
    )
  }
  for (const statement of statements) role.addToPrincipalPolicy(statement)
  const logicalId = stack.getLogicalId(bucket.node.defaultChild as s3.CfnBucket)
  accept(
    role,
    `AwsSolutions-IAM5[Resource::<${logicalId}.Arn>/artifacts/*]`,
    'Artifacts are named by those who log them.',
  )
}
