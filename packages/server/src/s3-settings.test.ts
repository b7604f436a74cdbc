import { expect, test } from 'vitest'
import { readConfig } from './config.ts'

const read = (env: Record<string, string>) => readConfig({}, env, undefined).settings

test('S3 is AWS with what its usual variables say unless told otherwise', () => {
  expect(read({}).s3).toEqual({ ignoresTls: false, addressing: 'auto', uploadArgs: {} })
  expect(read({ AWS_DEFAULT_REGION: 'eu-west-3' }).s3.region).toBe('eu-west-3')
})

test("MLflow's variables say how S3 is reached", () => {
  const { s3, presignedDownloadSeconds } = read({
    MLFLOW_S3_ENDPOINT_URL: 'https://minio.example:9000/',
    AWS_ENDPOINT_URL_S3: 'https://other.example',
    AWS_REGION: 'eu-west-1',
    MLFLOW_S3_IGNORE_TLS: 'true',
    MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE: 'virtual',
    MLFLOW_S3_EXPECTED_BUCKET_OWNER: '123456789012',
    MLFLOW_S3_UPLOAD_EXTRA_ARGS: '{"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"}',
    MLFLOW_PRESIGNED_DOWNLOAD_URL_TTL_SECONDS: '60',
  })

  expect(s3).toEqual({
    endpoint: 'https://minio.example:9000',
    region: 'eu-west-1',
    ignoresTls: true,
    addressing: 'virtual',
    expectedBucketOwner: '123456789012',
    uploadArgs: { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'k' },
  })
  expect(presignedDownloadSeconds).toBe(60)
})

test.each([
  ['MLFLOW_S3_ENDPOINT_URL', 'minio.example:9000', 'must be a URL'],
  ['MLFLOW_S3_ENDPOINT_URL', 'https://me:secret@minio.example', 'must be a URL'],
  ['MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE', 'both', 'one of auto, path, virtual'],
  ['MLFLOW_S3_EXPECTED_BUCKET_OWNER', 'me', 'twelve digits'],
  ['MLFLOW_S3_UPLOAD_EXTRA_ARGS', 'ACL=private', 'not JSON'],
  ['MLFLOW_S3_UPLOAD_EXTRA_ARGS', '["ACL"]', 'a JSON object'],
  ['MLFLOW_S3_UPLOAD_EXTRA_ARGS', '{"Acl": "private"}', "'Acl' is no argument"],
  ['MLFLOW_S3_UPLOAD_EXTRA_ARGS', '{"__proto__": "x"}', "'__proto__' is no argument"],
  ['MLFLOW_S3_UPLOAD_EXTRA_ARGS', '{"ACL": 1}', "'ACL' has the wrong type"],
  ['MLFLOW_S3_UPLOAD_EXTRA_ARGS', '{"Metadata": {"a": 1}}', "'Metadata' has the wrong type"],
  ['MLFLOW_PRESIGNED_DOWNLOAD_URL_TTL_SECONDS', '604801', 'a week'],
  ['MILLRACE_REMOTE_ARTIFACT_ROOTS', '/srv', 'no bucket'],
  ['MLFLOW_ARTIFACTS_DESTINATION', 'dbfs:/folder', 'a local directory, in S3'],
  ['MLFLOW_ARTIFACTS_DESTINATION', 'https://host/folder', 'behind another server'],
])('%s=%s is refused by name', (name, value, reason) => {
  expect(() => read({ [name]: value })).toThrow(reason)
})

test('all buckets are read on this machine alone, named ones elsewhere', () => {
  const open = { MLFLOW_HOST: '0.0.0.0', MILLRACE_ALLOW_UNAUTHENTICATED: 'true' }

  expect(read({}).remoteArtifactRoots).toEqual(['*'])
  expect(read(open).remoteArtifactRoots).toEqual([])
  expect(
    read({ ...open, MILLRACE_REMOTE_ARTIFACT_ROOTS: 's3://a, s3://b/c' }).remoteArtifactRoots,
  ).toEqual(['s3://a', 's3://b/c'])
})
