import {
  createBucket,
  deleteBucket,
  findBucketSetting,
  getBucket,
  listBuckets,
  setBucketSetting,
} from './bucket-store.ts'
import { limitOf, ownerOf } from './listing-operations.ts'
import type { ObjectStore } from './object-store.ts'
import { readText, readXml } from './s3-body.ts'
import { notImplemented, S3Error, type S3ErrorCode } from './s3-error.ts'
import { bucketOf, type RunOperation, type S3Answer, type S3Request } from './s3-request.ts'
import { taggingOf, tagsOfXml } from './s3-tags.ts'
import { childText, parseXml, s3Xml, type XmlContent } from './s3-xml.ts'

/** ListBuckets. */
export function listBucketsAnswer(store: ObjectStore, { query, accountId }: S3Request): S3Answer {
  const prefix = query.get('prefix') ?? ''
  const token = query.get('continuation-token') ?? ''
  const limit = limitOf(query.get('max-buckets'), 'max-buckets')
  const buckets = listBuckets(store)
    .filter(({ name }) => name.startsWith(prefix) && name > token)
    .slice(0, limit + 1)
  const page = buckets.slice(0, limit)
  return {
    body: s3Xml('ListAllMyBucketsResult', {
      Buckets: {
        Bucket: page.map(({ name, createdMs, region }) => ({
          Name: name,
          CreationDate: new Date(createdMs).toISOString(),
          BucketRegion: region,
        })),
      },
      Owner: ownerOf(accountId),
      ContinuationToken: buckets.length > limit ? page.at(-1)?.name : undefined,
      Prefix: prefix === '' ? undefined : prefix,
    }),
  }
}

/** CreateBucket. */
export async function createBucketAnswer(
  store: ObjectStore,
  request: S3Request,
): Promise<S3Answer> {
  const bucket = bucketOf(request)
  const text = await readText(request)
  const constraint =
    text.trim() === ''
      ? undefined
      : childText(parseXml(text, 'CreateBucketConfiguration'), 'LocationConstraint')
  const region = constraint?.trim() || request.region
  createBucket(store, bucket, region === 'EU' ? 'eu-west-1' : region)
  return { headers: { location: `/${bucket}` } }
}

/** DeleteBucket. */
export async function deleteBucketAnswer(
  store: ObjectStore,
  request: S3Request,
): Promise<S3Answer> {
  await deleteBucket(store, bucketOf(request))
  return { status: 204 }
}

/** GetBucketLocation, in which us-east-1 has no name. */
export function getBucketLocation(store: ObjectStore, request: S3Request): S3Answer {
  const { region } = getBucket(store, bucketOf(request))
  return { body: s3Xml('LocationConstraint', region === 'us-east-1' ? '' : region) }
}

/** What a bucket can be told, by the word in the query. */
interface Setting {
  /** The name in the operations, e.g. `Encryption` of PutBucketEncryption. */
  name: string
  root: string
  /** The answer before anything is set: a refusal, or this content. */
  unset: S3ErrorCode | { content: XmlContent }
}

/**
 * Settings that are kept and given back, and change nothing here: nothing is encrypted, expired,
 * notified or public on one's own disk.
 */
const SETTINGS: Record<string, Setting> = {
  accelerate: { name: 'Accelerate', root: 'AccelerateConfiguration', unset: { content: '' } },
  cors: { name: 'Cors', root: 'CORSConfiguration', unset: 'NoSuchCORSConfiguration' },
  encryption: {
    name: 'Encryption',
    root: 'ServerSideEncryptionConfiguration',
    unset: {
      content: {
        Rule: {
          ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' },
          BucketKeyEnabled: false,
        },
      },
    },
  },
  lifecycle: {
    name: 'LifecycleConfiguration',
    root: 'LifecycleConfiguration',
    unset: 'NoSuchLifecycleConfiguration',
  },
  logging: { name: 'Logging', root: 'BucketLoggingStatus', unset: { content: '' } },
  notification: {
    name: 'NotificationConfiguration',
    root: 'NotificationConfiguration',
    unset: { content: '' },
  },
  ownershipControls: {
    name: 'OwnershipControls',
    root: 'OwnershipControls',
    unset: 'OwnershipControlsNotFoundError',
  },
  publicAccessBlock: {
    name: 'PublicAccessBlock',
    root: 'PublicAccessBlockConfiguration',
    unset: 'NoSuchPublicAccessBlockConfiguration',
  },
  requestPayment: {
    name: 'RequestPayment',
    root: 'RequestPaymentConfiguration',
    unset: { content: { Payer: 'BucketOwner' } },
  },
  website: { name: 'Website', root: 'WebsiteConfiguration', unset: 'NoSuchWebsiteConfiguration' },
}

/** The operations of the settings, by method and word. */
export function settingOperations(): { method: string; query: string; run: RunOperation }[] {
  return Object.entries(SETTINGS).flatMap(([query, setting]) => [
    { method: 'GET', query, run: (store, request) => getSetting(store, request, query, setting) },
    { method: 'PUT', query, run: (store, request) => putSetting(store, request, query, setting) },
    { method: 'DELETE', query, run: (store, request) => deleteSetting(store, request, query) },
  ])
}

function getSetting(
  store: ObjectStore,
  request: S3Request,
  kind: string,
  { root, unset }: Setting,
): S3Answer {
  const bucket = bucketOf(request)
  const body = findBucketSetting(store, bucket, kind)
  if (body !== undefined) return { body }
  if (typeof unset === 'string') throw new S3Error(unset, { details: { BucketName: bucket } })
  return { body: s3Xml(root, unset.content) }
}

async function putSetting(
  store: ObjectStore,
  request: S3Request,
  kind: string,
  { root }: Setting,
): Promise<S3Answer> {
  const body = await readText(request)
  parseXml(body, root)
  setBucketSetting(store, { bucket: bucketOf(request), kind, body })
  return {}
}

function deleteSetting(store: ObjectStore, request: S3Request, kind: string): S3Answer {
  setBucketSetting(store, { bucket: bucketOf(request), kind, body: undefined })
  return { status: 204 }
}

/** GetBucketPolicy. */
export function getBucketPolicy(store: ObjectStore, request: S3Request): S3Answer {
  const bucket = bucketOf(request)
  const body = findBucketSetting(store, bucket, 'policy')
  if (body === undefined) {
    throw new S3Error('NoSuchBucketPolicy', { details: { BucketName: bucket } })
  }
  return { headers: { 'content-type': 'application/json' }, body }
}

/** PutBucketPolicy: kept, and not enforced. */
export async function putBucketPolicy(store: ObjectStore, request: S3Request): Promise<S3Answer> {
  const body = await readText(request)
  if (!isJsonObject(body)) throw new S3Error('MalformedPolicy')
  setBucketSetting(store, { bucket: bucketOf(request), kind: 'policy', body })
  return { status: 204 }
}

/** DeleteBucketPolicy. */
export function deleteBucketPolicy(store: ObjectStore, request: S3Request): S3Answer {
  return deleteSetting(store, request, 'policy')
}

/** GetBucketPolicyStatus. */
export function getBucketPolicyStatus(store: ObjectStore, request: S3Request): S3Answer {
  getBucketPolicy(store, request)
  return { body: s3Xml('PolicyStatus', { IsPublic: false }) }
}

/** GetBucketTagging. */
export function getBucketTagging(store: ObjectStore, request: S3Request): S3Answer {
  const bucket = bucketOf(request)
  const kept = findBucketSetting(store, bucket, 'tagging')
  if (kept === undefined) throw new S3Error('NoSuchTagSet', { details: { BucketName: bucket } })
  return { body: s3Xml('Tagging', taggingOf(JSON.parse(kept) as Record<string, string>)) }
}

/** PutBucketTagging. */
export async function putBucketTagging(store: ObjectStore, request: S3Request): Promise<S3Answer> {
  const tags = tagsOfXml(await readXml(request, 'Tagging'), 50)
  const body = JSON.stringify(tags)
  setBucketSetting(store, { bucket: bucketOf(request), kind: 'tagging', body })
  return { status: 204 }
}

/** DeleteBucketTagging. */
export function deleteBucketTagging(store: ObjectStore, request: S3Request): S3Answer {
  return deleteSetting(store, request, 'tagging')
}

/** GetBucketVersioning: never switched on. */
export function getBucketVersioning(store: ObjectStore, request: S3Request): S3Answer {
  getBucket(store, bucketOf(request))
  return { body: s3Xml('VersioningConfiguration', '') }
}

/** PutBucketVersioning: off is what it is; on is refused, because no old version would be kept. */
export async function putBucketVersioning(
  store: ObjectStore,
  request: S3Request,
): Promise<S3Answer> {
  getBucket(store, bucketOf(request))
  const document = await readXml(request, 'VersioningConfiguration')
  if (childText(document, 'Status')?.trim() !== 'Suspended') {
    throw notImplemented('PutBucketVersioning with Status Enabled')
  }
  return {}
}

/** PutBucketAcl and PutObjectAcl: there is one owner, and nobody else to be given anything. */
export function putAcl(store: ObjectStore, request: S3Request): S3Answer {
  getBucket(store, bucketOf(request))
  return {}
}

/** GetBucketAcl and GetObjectAcl: everything for the owner. */
export function getAcl(store: ObjectStore, request: S3Request): S3Answer {
  getBucket(store, bucketOf(request))
  const { ID, DisplayName } = ownerOf(request.accountId)
  const owner = `<Owner><ID>${ID}</ID><DisplayName>${DisplayName}</DisplayName></Owner>`
  const grantee = `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>${ID}</ID><DisplayName>${DisplayName}</DisplayName></Grantee>`
  const grant = `<Grant>${grantee}<Permission>FULL_CONTROL</Permission></Grant>`
  const list = `<AccessControlList>${grant}</AccessControlList>`
  return {
    body: s3Xml('AccessControlPolicy', '').replace('></', `>${owner}${list}</`),
  }
}

function isJsonObject(text: string): boolean {
  try {
    return text.trimStart().startsWith('{') && typeof JSON.parse(text) === 'object'
  } catch {
    return false
  }
}
