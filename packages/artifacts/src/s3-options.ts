import { invalid } from '@millrace/api/errors'

/** How S3 is reached; plain data, all of it chosen by whoever starts the program. */
export interface S3Options {
  /** URL of an S3-compatible server; AWS itself when absent. */
  endpoint?: string
  /** Where the bucket is asked for first; its own region is found out. */
  region?: string
  /** Accept any TLS certificate. */
  ignoresTls: boolean
  /** `auto` puts the bucket into the path for an own endpoint and into the host name for AWS. */
  addressing: 'auto' | 'path' | 'virtual'
  /** Account that must own the bucket; requests to anybody else's are refused by S3. */
  expectedBucketOwner?: string
  /** What every new object is given, by the names of the S3 API. */
  uploadArgs: S3UploadArgs
  /** How long a connection may be silent, 30 s when absent. */
  silenceMaxMs?: number
}

export type S3UploadArgs = Readonly<Record<string, string | boolean | Record<string, string>>>

export const DEFAULT_S3_OPTIONS: S3Options = {
  ignoresTls: false,
  addressing: 'auto',
  uploadArgs: {},
}

/**
 * Arguments that an object is created with, by their header in a presigned request. Keys of the
 * customer (`SSECustomerKey`) are missing because nothing could read such objects back.
 */
export const UPLOAD_ARG_HEADERS: Readonly<Record<string, string>> = {
  ACL: 'x-amz-acl',
  BucketKeyEnabled: 'x-amz-server-side-encryption-bucket-key-enabled',
  CacheControl: 'Cache-Control',
  ContentDisposition: 'Content-Disposition',
  ContentEncoding: 'Content-Encoding',
  ContentLanguage: 'Content-Language',
  ContentType: 'Content-Type',
  GrantFullControl: 'x-amz-grant-full-control',
  GrantRead: 'x-amz-grant-read',
  GrantReadACP: 'x-amz-grant-read-acp',
  GrantWriteACP: 'x-amz-grant-write-acp',
  Metadata: 'x-amz-meta-',
  ObjectLockLegalHoldStatus: 'x-amz-object-lock-legal-hold',
  RequestPayer: 'x-amz-request-payer',
  ServerSideEncryption: 'x-amz-server-side-encryption',
  SSEKMSEncryptionContext: 'x-amz-server-side-encryption-context',
  SSEKMSKeyId: 'x-amz-server-side-encryption-aws-kms-key-id',
  StorageClass: 'x-amz-storage-class',
  Tagging: 'x-amz-tagging',
  WebsiteRedirectLocation: 'x-amz-website-redirect-location',
}

/**
 * Reads `MLFLOW_S3_UPLOAD_EXTRA_ARGS`: a JSON object such as
 * `{"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "..."}`; the empty text is no arguments.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming the argument that cannot be used
 */
export function parseUploadArgs(text: string): S3UploadArgs {
  if (text.trim() === '') return {}
  const args = parseJson(text)
  if (args === null || typeof args !== 'object' || Array.isArray(args)) {
    throw invalid(`this must be a JSON object such as {"ServerSideEncryption": "aws:kms"}`)
  }
  for (const [name, value] of Object.entries(args)) {
    if (!Object.hasOwn(UPLOAD_ARG_HEADERS, name)) {
      const known = Object.keys(UPLOAD_ARG_HEADERS).join(', ')
      throw invalid(`'${name}' is no argument that objects can be given here; these are: ${known}`)
    }
    const isFitting =
      name === 'Metadata'
        ? isTextMap(value)
        : typeof value === (name === 'BucketKeyEnabled' ? 'boolean' : 'string')
    if (!isFitting) throw invalid(`the value of '${name}' has the wrong type`)
  }
  return args as S3UploadArgs
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalid('this is not JSON')
  }
}

function isTextMap(value: unknown): boolean {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return false
  return Object.values(value).every((text) => typeof text === 'string')
}
