import { getBucket } from './bucket-store.ts'
import { type ListedObject, listObjects, type ObjectPage } from './object-listing.ts'
import type { ObjectStore } from './object-store.ts'
import { invalidArgument } from './s3-error.ts'
import { bucketOf, type S3Answer, type S3Request } from './s3-request.ts'
import { s3Xml, type XmlElements } from './s3-xml.ts'

const PAGE_MAX = 1000

/** ListObjectsV2. */
export function listObjectsV2(store: ObjectStore, request: S3Request): S3Answer {
  const { query } = request
  const asked = listingOf(request, 'max-keys')
  const token = query.get('continuation-token')
  const startAfter = query.get('start-after')
  const after = token === undefined ? startAfter : afterToken(token)
  const page = listObjects(store, { ...asked.options, ...(after !== undefined && { after }) })
  const hasOwner = query.get('fetch-owner') === 'true'
  return {
    body: s3Xml('ListBucketResult', {
      ...asked.echo,
      KeyCount: page.objects.length + page.commonPrefixes.length,
      ContinuationToken: token,
      StartAfter: startAfter === undefined ? undefined : asked.encode(startAfter),
      IsTruncated: page.isTruncated,
      NextContinuationToken: page.isTruncated ? tokenOf(page) : undefined,
      ...entriesOf(page, asked.encode, hasOwner ? request.accountId : undefined),
    }),
  }
}

/** ListObjects, the first version, whose pages go on from a key. */
export function listObjectsV1(store: ObjectStore, request: S3Request): S3Answer {
  const asked = listingOf(request, 'max-keys')
  const marker = request.query.get('marker') ?? ''
  const page = listObjects(store, { ...asked.options, after: marker })
  const hasNext = page.isTruncated && asked.options.delimiter !== undefined
  return {
    body: s3Xml('ListBucketResult', {
      ...asked.echo,
      Marker: asked.encode(marker),
      NextMarker: hasNext ? asked.encode(page.last ?? '') : undefined,
      IsTruncated: page.isTruncated,
      ...entriesOf(page, asked.encode, request.accountId),
    }),
  }
}

/** ListObjectVersions of a bucket without versions: each object has the one called `null`. */
export function listObjectVersions(store: ObjectStore, request: S3Request): S3Answer {
  const asked = listingOf(request, 'max-keys')
  const marker = request.query.get('key-marker') ?? ''
  const page = listObjects(store, { ...asked.options, after: marker })
  const { Contents, CommonPrefixes } = entriesOf(page, asked.encode, request.accountId)
  return {
    body: s3Xml('ListVersionsResult', {
      ...asked.echo,
      KeyMarker: asked.encode(marker),
      VersionIdMarker: '',
      IsTruncated: page.isTruncated,
      NextKeyMarker: page.isTruncated ? asked.encode(page.last ?? '') : undefined,
      NextVersionIdMarker: page.isTruncated ? 'null' : undefined,
      Version: Contents.map((entry) => ({ ...entry, VersionId: 'null', IsLatest: true })),
      CommonPrefixes,
    }),
  }
}

/** What every listing of keys takes, and what it says back. */
export function listingOf(request: S3Request, limitName: string) {
  const { query } = request
  const bucket = bucketOf(request)
  const isEncoded = encodingOf(query.get('encoding-type'))
  const encode = isEncoded ? encodeKey : (text: string) => text
  const limit = limitOf(query.get(limitName), limitName)
  const prefix = query.get('prefix') ?? ''
  const delimiter = query.get('delimiter') || undefined
  return {
    encode,
    limit,
    options: { bucket, prefix, limit, ...(delimiter !== undefined && { delimiter }) },
    echo: {
      Name: bucket,
      Prefix: encode(prefix),
      Delimiter: delimiter === undefined ? undefined : encode(delimiter),
      MaxKeys: limit,
      EncodingType: isEncoded ? 'url' : undefined,
    },
  }
}

function entriesOf(page: ObjectPage, encode: (text: string) => string, owner: string | undefined) {
  return {
    Contents: page.objects.map((object) => contentsOf(object, encode, owner)),
    CommonPrefixes: page.commonPrefixes.map((prefix) => ({ Prefix: encode(prefix) })),
  }
}

function contentsOf(
  object: ListedObject,
  encode: (text: string) => string,
  owner: string | undefined,
): XmlElements {
  return {
    Key: encode(object.key),
    LastModified: new Date(object.modifiedMs).toISOString(),
    ETag: `"${object.etag}"`,
    ChecksumAlgorithm: object.checksumAlgorithm,
    ChecksumType: object.checksumType,
    Size: object.sizeBytes,
    Owner: owner === undefined ? undefined : ownerOf(owner),
    StorageClass: object.storageClass ?? 'STANDARD',
  }
}

/** The one who owns everything here. */
export function ownerOf(accountId: string): XmlElements {
  return { ID: accountId.padStart(64, '0'), DisplayName: 'millrace' }
}

/** HeadBucket; the bucket's region besides. */
export function headBucket(store: ObjectStore, request: S3Request): S3Answer {
  const { region } = getBucket(store, bucketOf(request))
  return { headers: { 'x-amz-bucket-region': region, 'content-type': 'application/xml' } }
}

/** A number of a query from 0 to 1000; larger ones mean 1000, as in S3. */
export function limitOf(value: string | undefined, name: string): number {
  if (value === undefined || value === '') return PAGE_MAX
  if (!/^\d{1,10}$/.test(value) || Number(value) > 2 ** 31 - 1) {
    throw invalidArgument(
      `Argument ${name} must be an integer between 0 and 2147483647`,
      name,
      value,
    )
  }
  return Math.min(Number(value), PAGE_MAX)
}

function encodingOf(value: string | undefined): boolean {
  if (value === undefined) return false
  if (value.toLowerCase() === 'url') return true
  throw invalidArgument('Invalid Encoding Method specified in Request', 'encoding-type', value)
}

function encodeKey(key: string): string {
  return key.split('/').map(encodeURIComponent).join('/')
}

function tokenOf({ last = '' }: ObjectPage): string {
  return Buffer.from(`1${last}`).toString('base64url')
}

function afterToken(token: string): string {
  const text = Buffer.from(token, 'base64url').toString('utf8')
  if (!text.startsWith('1')) {
    throw invalidArgument(
      'The continuation token provided is incorrect',
      'continuation-token',
      token,
    )
  }
  return text.slice(1)
}
