import { locateObject, type StoredObject, setObjectTags } from './object-entry.ts'
import {
  checkConditions,
  checksumHeaders,
  objectHeaders,
  propertiesOf,
  rangeOf,
  validators,
  writeCondition,
} from './object-headers.ts'
import type { ObjectStore } from './object-store.ts'
import { copyObject, deleteObjects, putObject, readObject, UPLOAD_MAX_BYTES } from './objects.ts'
import { expectedBody, readXml } from './s3-body.ts'
import { invalidArgument, S3Error } from './s3-error.ts'
import { bucketOf, headerOf, objectOf, type S3Answer, type S3Request } from './s3-request.ts'
import { taggingOf, tagsOfHeader, tagsOfXml } from './s3-tags.ts'
import { childText, s3Xml, type XmlElements, type XmlNode } from './s3-xml.ts'

const DELETE_MAX = 1000

/** GetObject, with ranges, parts, conditions and the headers that the query overrides. */
export async function getObject(store: ObjectStore, request: S3Request): Promise<S3Answer> {
  let bytes: ReturnType<typeof bytesOf> | undefined
  const { object, body } = await readObject(store, {
    ...objectOf(request),
    select: (found) => {
      bytes = bytesOf(request, found)
      return bytes.range
    },
  })
  return { ...headOf(request, object, bytes ?? {}), body }
}

/** HeadObject. */
export function headObjectAnswer(store: ObjectStore, request: S3Request): S3Answer {
  const { bucket, key } = objectOf(request)
  const object = locateObject(store, bucket, key)
  return headOf(request, object, bytesOf(request, object))
}

/** Which bytes a request asks for, once its conditions stand. */
function bytesOf(request: S3Request, object: StoredObject) {
  checkVersion(request)
  checkConditions(request, object)
  const number = request.query.get('partNumber')
  if (number !== undefined) {
    const sizes = object.partSizes ?? [object.sizeBytes]
    const index = Number(number) - 1
    const size = sizes[index]
    if (size === undefined) {
      throw new S3Error('InvalidPartNumber', {
        details: { ActualPartCount: String(sizes.length), PartNumberRequested: number },
      })
    }
    const start = sizes.slice(0, index).reduce((sum, one) => sum + one, 0)
    return { range: { start, end: start + size - 1 }, parts: sizes.length }
  }
  const range = rangeOf(headerOf(request, 'range'), object.sizeBytes)
  return range ? { range } : {}
}

function headOf(
  request: S3Request,
  object: StoredObject,
  { range, parts }: { range?: { start: number; end: number }; parts?: number },
): S3Answer {
  const headers = objectHeaders(object, request)
  const wantsChecksum = headerOf(request, 'x-amz-checksum-mode')?.toUpperCase() === 'ENABLED'
  if (wantsChecksum && !range) Object.assign(headers, checksumHeaders(object))
  if (object.partSizes && parts !== undefined) headers['x-amz-mp-parts-count'] = parts
  if (!range) return { headers: { ...headers, 'content-length': object.sizeBytes } }
  const { start, end } = range
  return {
    status: 206,
    headers: {
      ...headers,
      'content-length': end - start + 1,
      'content-range': `bytes ${start}-${end}/${object.sizeBytes}`,
    },
  }
}

/** PutObject. */
export async function putObjectAnswer(store: ObjectStore, request: S3Request): Promise<S3Answer> {
  const condition = writeCondition(request)
  checkLength(request)
  const object = await putObject(store, {
    ...objectOf(request),
    body: request.body.bytes,
    properties: propertiesOf(request),
    tags: tagsOfHeader(headerOf(request, 'x-amz-tagging')),
    expected: expectedBody(request),
    ...(condition && { condition }),
  })
  return { headers: { etag: `"${object.etag}"`, ...checksumHeaders(object) } }
}

/** Refuses a write that does not say its length, or says too much, before it is read. */
export function checkLength({ body: { length } }: S3Request): void {
  if (length === undefined) throw new S3Error('MissingContentLength')
  if (length > UPLOAD_MAX_BYTES) {
    throw new S3Error('EntityTooLarge', {
      details: { ProposedSize: String(length), MaxSizeAllowed: String(UPLOAD_MAX_BYTES) },
    })
  }
}

/** CopyObject. */
export async function copyObjectAnswer(store: ObjectStore, request: S3Request): Promise<S3Answer> {
  const to = objectOf(request)
  const from = copySource(request)
  const replaces = directive(request, 'x-amz-metadata-directive')
  const isSelf = from.bucket === to.bucket && from.key === to.key
  const changes = ['x-amz-storage-class', 'x-amz-server-side-encryption'].some(
    (name) => headerOf(request, name) !== undefined,
  )
  if (isSelf && !replaces && !changes) {
    throw new S3Error('InvalidRequest', {
      message:
        "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    })
  }
  const condition = writeCondition(request)
  const tags = directive(request, 'x-amz-tagging-directive')
    ? tagsOfHeader(headerOf(request, 'x-amz-tagging'))
    : undefined
  const select = (source: StoredObject) => {
    checkConditions(request, source, 'x-amz-copy-source-')
    if (source.sizeBytes > UPLOAD_MAX_BYTES) {
      throw new S3Error('InvalidRequest', {
        message: `The specified copy source is larger than the maximum allowable size for a copy source: ${UPLOAD_MAX_BYTES}`,
      })
    }
    return undefined
  }
  const copied = await copyObject(
    store,
    { ...from, select },
    {
      ...to,
      ...(replaces && { properties: propertiesOf(request) }),
      ...(tags && { tags }),
      ...(condition && { condition }),
    },
  )
  return { body: s3Xml('CopyObjectResult', copyResult(copied)) }
}

/** What CopyObject and UploadPartCopy say of what they wrote. */
export function copyResult({
  etag,
  modifiedMs,
  checksum,
}: Pick<StoredObject, 'etag' | 'modifiedMs' | 'checksum'>): XmlElements {
  return {
    LastModified: new Date(modifiedMs).toISOString(),
    ETag: `"${etag}"`,
    ...(checksum && {
      [`Checksum${checksum.algorithm}`]: checksum.value,
      ChecksumType: checksum.type,
    }),
  }
}

/** The object that `x-amz-copy-source` names: `[/]bucket/key[?versionId=null]`, escaped. */
export function copySource(request: S3Request): { bucket: string; key: string } {
  const header = headerOf(request, 'x-amz-copy-source') ?? ''
  const [path = '', version] = header.split(/\?versionId=/)
  const [, bucket, key] = /^\/?([^/]+)\/([\s\S]+)$/.exec(decodeSource(path)) ?? []
  if (bucket === undefined || key === undefined) {
    throw invalidArgument(
      'Copy Source must mention the source bucket and key: sourcebucket/sourcekey',
      'x-amz-copy-source',
      header,
    )
  }
  if (version !== undefined && version !== 'null') throw new S3Error('NoSuchVersion')
  return { bucket, key }
}

function decodeSource(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw invalidArgument('Invalid copy source encoding.', 'x-amz-copy-source', path)
  }
}

function directive(request: S3Request, name: string): boolean {
  const value = headerOf(request, name) ?? 'COPY'
  if (value === 'REPLACE' || value === 'COPY') return value === 'REPLACE'
  throw invalidArgument(`Unknown ${name.slice('x-amz-'.length)}.`, name, value)
}

/** DeleteObject. */
export async function deleteObjectAnswer(
  store: ObjectStore,
  request: S3Request,
): Promise<S3Answer> {
  checkVersion(request)
  const { bucket, key } = objectOf(request)
  const condition =
    headerOf(request, 'if-match') === undefined ? undefined : writeCondition(request)
  await deleteObjects(store, { bucket, keys: [key], ...(condition && { condition }) })
  return { status: 204 }
}

/** DeleteObjects: up to a thousand keys in one document. */
export async function deleteObjectsAnswer(
  store: ObjectStore,
  request: S3Request,
): Promise<S3Answer> {
  const bucket = bucketOf(request)
  const document = await readXml(request, 'Delete')
  const objects = document.children.get('Object') ?? []
  if (objects.length === 0 || objects.length > DELETE_MAX) throw new S3Error('MalformedXML')
  const keys = objects.map(keyToDelete)
  const deletable = keys.filter(({ version }) => version === undefined || version === 'null')
  await deleteObjects(store, { bucket, keys: deletable.map(({ key }) => key) })
  const isQuiet = childText(document, 'Quiet')?.trim() === 'true'
  return {
    body: s3Xml('DeleteResult', {
      Deleted: isQuiet ? [] : deletable.map(({ key }) => ({ Key: key })),
      Error: keys
        .filter((one) => !deletable.includes(one))
        .map(({ key, version }) => ({
          Key: key,
          VersionId: version,
          Code: 'NoSuchVersion',
          Message: 'The specified version does not exist.',
        })),
    }),
  }
}

function keyToDelete(object: XmlNode): { key: string; version: string | undefined } {
  const key = childText(object, 'Key')
  if (!key) throw new S3Error('MalformedXML')
  return { key, version: childText(object, 'VersionId') }
}

/** GetObjectAttributes. */
export function getObjectAttributes(store: ObjectStore, request: S3Request): S3Answer {
  checkVersion(request)
  const { bucket, key } = objectOf(request)
  const object = locateObject(store, bucket, key)
  const wanted = (headerOf(request, 'x-amz-object-attributes') ?? '')
    .split(',')
    .map((name) => name.trim())
  const { checksum, partSizes } = object
  const attributes: XmlElements = {
    ETag: object.etag,
    Checksum: checksum && {
      [`Checksum${checksum.algorithm}`]: checksum.value.replace(/-\d+$/, ''),
      ChecksumType: checksum.type,
    },
    ObjectParts: partSizes && { PartsCount: partSizes.length },
    StorageClass: object.headers['x-amz-storage-class'] ?? 'STANDARD',
    ObjectSize: object.sizeBytes,
  }
  const unknown = wanted.find((name) => !(name in attributes))
  if (unknown !== undefined) {
    throw invalidArgument('Invalid attribute name specified.', 'x-amz-object-attributes', unknown)
  }
  const named = Object.entries(attributes).filter(
    ([name, value]) => value !== undefined && wanted.includes(name),
  )
  return {
    headers: { 'last-modified': validators(object)['last-modified'] },
    body: s3Xml('GetObjectAttributesResponse', Object.fromEntries(named)),
  }
}

/** GetObjectTagging. */
export function getObjectTagging(store: ObjectStore, request: S3Request): S3Answer {
  const { bucket, key } = objectOf(request)
  return { body: s3Xml('Tagging', taggingOf(locateObject(store, bucket, key).tags)) }
}

/** PutObjectTagging. */
export async function putObjectTagging(store: ObjectStore, request: S3Request): Promise<S3Answer> {
  const tags = tagsOfXml(await readXml(request, 'Tagging'), 10)
  setObjectTags(store, { ...objectOf(request), tags })
  return {}
}

/** DeleteObjectTagging. */
export function deleteObjectTagging(store: ObjectStore, request: S3Request): S3Answer {
  setObjectTags(store, { ...objectOf(request), tags: {} })
  return { status: 204 }
}

/** There is one version of an object, which S3 calls `null` where versions are off. */
function checkVersion({ query }: S3Request): void {
  const version = query.get('versionId')
  if (version !== undefined && version !== 'null') {
    throw new S3Error('NoSuchVersion', { details: { VersionId: version } })
  }
}
