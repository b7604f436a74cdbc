import { createHash } from 'node:crypto'
import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3'
import type { S3Bucket } from './s3-bucket.ts'
import { toS3Failure } from './s3-failure.ts'

/** Names directly below a prefix, without it; files with their size in bytes. */
export interface S3Directory {
  directories: Set<string>
  sizesByFile: Map<string, number>
}

/** One level of a bucket. Names are as they are in S3, whether our paths could have them or not. */
export async function listDirectory(bucket: S3Bucket, prefix: string): Promise<S3Directory> {
  const directories = new Set<string>()
  const sizesByFile = new Map<string, number>()
  for await (const page of pages(bucket, { Prefix: prefix, Delimiter: '/' })) {
    for (const { Prefix } of page.CommonPrefixes ?? []) {
      directories.add(decoded(page, Prefix).slice(prefix.length, -1))
    }
    for (const { Key, Size } of page.Contents ?? []) {
      sizesByFile.set(decoded(page, Key).slice(prefix.length), Size ?? 0)
    }
  }
  return { directories, sizesByFile }
}

/** All keys that begin with a prefix, a page at a time. */
export async function* listKeys(
  bucket: S3Bucket,
  prefix: string,
  pageMax?: number,
): AsyncGenerator<string[], void, undefined> {
  const page = pageMax === undefined ? {} : { MaxKeys: pageMax }
  for await (const answer of pages(bucket, { Prefix: prefix, ...page })) {
    yield (answer.Contents ?? []).map(({ Key }) => decoded(answer, Key))
  }
}

/** Deletes objects, at most a page of them; those that are missing are no error. */
export async function deleteKeys(bucket: S3Bucket, keys: readonly string[]): Promise<void> {
  const { sdk, client, base, name } = bucket
  const attempt = { bucket: name, action: 's3:DeleteObject' } as const
  const [only] = keys
  if (only === undefined) return
  try {
    if (keys.length === 1) {
      await client.send(new sdk.DeleteObjectCommand({ ...base, Key: only }))
      return
    }
    const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true }
    const command = new sdk.DeleteObjectsCommand({ ...base, Delete })
    command.middlewareStack.add(
      (next) => (args) => {
        addMd5(args.request)
        return next(args)
      },
      { step: 'build', priority: 'low' },
    )
    const { Errors: [failed] = [] } = await client.send(command)
    if (failed) throw Object.assign(new Error(failed.Message), { name: failed.Code ?? 'Unknown' })
  } catch (error) {
    throw toS3Failure(error, attempt)
  }
}

/** Deletions must carry a checksum; old servers know only this one, which the SDK does not send. */
function addMd5(request: unknown): void {
  if (request === null || typeof request !== 'object') return
  if (!('body' in request && typeof request.body === 'string' && 'headers' in request)) return
  const md5 = createHash('md5').update(request.body).digest('base64')
  Object.assign(request.headers as object, { 'content-md5': md5 })
}

async function* pages(
  { sdk, client, base, name }: S3Bucket,
  query: { Prefix: string; Delimiter?: string; MaxKeys?: number },
): AsyncGenerator<ListObjectsV2CommandOutput, void, undefined> {
  let token: string | undefined
  do {
    const page = await client
      .send(
        new sdk.ListObjectsV2Command({
          ...base,
          ...query,
          // XML cannot carry every character of a key.
          EncodingType: 'url',
          ...(token !== undefined && { ContinuationToken: token }),
        }),
      )
      .catch((error: unknown) => {
        throw toS3Failure(error, { bucket: name, action: 's3:ListBucket' })
      })
    yield page
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined
  } while (token !== undefined)
}

/** Some servers ignore that keys are wanted percent-encoded; the answer says so. */
function decoded({ EncodingType }: ListObjectsV2CommandOutput, key = ''): string {
  return EncodingType === 'url' ? decodeURIComponent(key.replaceAll('+', ' ')) : key
}
