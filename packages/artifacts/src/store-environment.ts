import { invalid } from '@millrace/api/errors'
import type { StoreOptions } from './artifact-store.ts'
import { DEFAULT_S3_OPTIONS, parseUploadArgs, type S3Options } from './s3-options.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * How stores are reached from a program without settings of its own: by the variables that MLflow's
 * clients and boto3 read. Keys, profiles and roles of AWS are read by its SDK.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming the variable that cannot be used
 */
export function readStoreOptions(environment: Environment): StoreOptions {
  const connectionString = environment['AZURE_STORAGE_CONNECTION_STRING']
  const accessKey = environment['AZURE_STORAGE_ACCESS_KEY']
  return {
    s3: readS3(environment),
    azure: { ...(connectionString && { connectionString }), ...(accessKey && { accessKey }) },
  }
}

function readS3(environment: Environment): S3Options {
  const endpoint = firstOf(environment, [
    'MLFLOW_S3_ENDPOINT_URL',
    'AWS_ENDPOINT_URL_S3',
    'AWS_ENDPOINT_URL',
  ])
  const region = firstOf(environment, ['AWS_REGION', 'AWS_DEFAULT_REGION'])
  const expectedBucketOwner = environment['MLFLOW_S3_EXPECTED_BUCKET_OWNER']
  return {
    ...DEFAULT_S3_OPTIONS,
    ...(endpoint && { endpoint: endpoint.replace(/\/+$/, '') }),
    ...(region && { region }),
    ...(expectedBucketOwner && { expectedBucketOwner }),
    ignoresTls: /^(true|1)$/i.test(environment['MLFLOW_S3_IGNORE_TLS'] ?? ''),
    addressing: readAddressing(environment['MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE'] || 'auto'),
    uploadArgs: parseUploadArgs(environment['MLFLOW_S3_UPLOAD_EXTRA_ARGS'] ?? ''),
  }
}

function readAddressing(text: string): S3Options['addressing'] {
  if (text === 'auto' || text === 'path' || text === 'virtual') return text
  throw invalid(`MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE '${text}' must be one of auto, path, virtual`)
}

function firstOf(environment: Environment, names: readonly string[]): string | undefined {
  return names.map((name) => environment[name]).find((value) => value)
}
