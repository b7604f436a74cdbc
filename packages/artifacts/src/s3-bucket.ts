import type { S3Client } from '@aws-sdk/client-s3'
import { toS3Failure } from './s3-failure.ts'
import type { S3Options } from './s3-options.ts'

type Sdk = typeof import('@aws-sdk/client-s3')

/** A bucket that is ready for requests. */
export interface S3Bucket {
  readonly name: string
  readonly options: S3Options
  readonly sdk: Sdk
  readonly client: S3Client
  /** Part of every request's input. */
  readonly base: { Bucket: string; ExpectedBucketOwner?: string }
  /** Whether an ETag of this bucket was seen to be the MD5 of what was sent. */
  hasMd5Etags: boolean
  /** False once the server was seen to refuse additional checksums. */
  takesChecksums: boolean
}

/** Silence of this length means that a connection is dead. */
const SILENCE_MAX_MS = 30_000
const CONNECT_MAX_MS = 5_000
/** Downloads to slow readers keep their connections, and others must not wait for them. */
const CONNECTIONS_MAX = 512
const FIRST_REGION = 'us-east-1'

/**
 * Opens buckets, each once. The AWS SDK takes 30 MB and a quarter of a second, so it is loaded
 * with the first bucket. A bucket whose region could not be found out is opened again next time.
 */
export function bucketOpener(name: string, options: S3Options): () => Promise<S3Bucket> {
  let opened: Promise<S3Bucket> | undefined
  return () => {
    opened ??= openBucket(name, options).catch((error: unknown) => {
      opened = undefined
      throw error
    })
    return opened
  }
}

async function openBucket(name: string, options: S3Options): Promise<S3Bucket> {
  const sdk = await import('@aws-sdk/client-s3')
  const first = options.region ?? (await configuredRegion(sdk, options))
  const owner = options.expectedBucketOwner
  const base = { Bucket: name, ...(owner !== undefined && { ExpectedBucketOwner: owner }) }
  const client = createClient(sdk, options, first)
  const region = await findRegion(sdk, client, base)
  const isElsewhere = region !== undefined && region !== first
  if (isElsewhere) client.destroy()
  return {
    name,
    options,
    sdk,
    client: isElsewhere ? createClient(sdk, options, region) : client,
    base,
    hasMd5Etags: false,
    takesChecksums: true,
  }
}

/** The region of the environment or profile, which the SDK refuses to do without. */
async function configuredRegion(sdk: Sdk, options: S3Options): Promise<string> {
  const client = createClient(sdk, options, undefined)
  try {
    return await client.config.region()
  } catch {
    return FIRST_REGION
  } finally {
    client.destroy()
  }
}

function createClient(sdk: Sdk, options: S3Options, region: string | undefined): S3Client {
  const { endpoint, addressing } = options
  const agent = { maxSockets: CONNECTIONS_MAX, keepAlive: true }
  return new sdk.S3Client({
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    forcePathStyle: addressing === 'auto' ? endpoint !== undefined : addressing === 'path',
    // Uploads carry Content-MD5, which every S3 server knows; newer checksums many do not, and in
    // a presigned request the SDK would sign the one of an empty body.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_MAX_MS,
      socketTimeout: options.silenceMaxMs ?? SILENCE_MAX_MS,
      httpAgent: agent,
      httpsAgent: { ...agent, ...(options.ignoresTls && { rejectUnauthorized: false }) },
    },
  })
}

/** The region that S3 names, also to callers it refuses; undefined where servers have none. */
async function findRegion(
  sdk: Sdk,
  client: S3Client,
  base: S3Bucket['base'],
): Promise<string | undefined> {
  try {
    return (await client.send(new sdk.HeadBucketCommand(base))).BucketRegion
  } catch (error) {
    const headers = responseHeaders(error)
    if (headers) return headers['x-amz-bucket-region']
    throw toS3Failure(error, { bucket: base.Bucket, action: 's3:ListBucket' })
  }
}

function responseHeaders(error: unknown): Record<string, string> | undefined {
  if (!(error instanceof Error && '$response' in error)) return undefined
  const response = error.$response as { headers?: Record<string, string> } | undefined
  return response?.headers
}
