import {
  CHECKSUM_ALGORITHMS,
  type ChecksumAlgorithm,
  checksumHeader,
  findChecksumAlgorithm,
  isCrc,
} from './checksums.ts'
import { limitOf, listingOf, ownerOf } from './listing-operations.ts'
import {
  abortUpload,
  completeUpload,
  createUpload,
  getUpload,
  listParts,
  listUploads,
  type NamedPart,
  putPart,
  type Upload,
  type UploadRef,
} from './multipart-uploads.ts'
import { checkConditions, propertiesOf, rangeOf, writeCondition } from './object-headers.ts'
import { checkLength, copyResult, copySource } from './object-operations.ts'
import type { ObjectStore } from './object-store.ts'
import { readObject } from './objects.ts'
import { expectedBody, readXml } from './s3-body.ts'
import { invalidArgument, S3Error } from './s3-error.ts'
import { headerOf, objectOf, type S3Answer, type S3Request } from './s3-request.ts'
import { tagsOfHeader } from './s3-tags.ts'
import { childText, s3Xml, type XmlElements, type XmlNode } from './s3-xml.ts'

/** CreateMultipartUpload. */
export function createMultipartUpload(store: ObjectStore, request: S3Request): S3Answer {
  const { bucket, key } = objectOf(request)
  const checksum = wantedChecksum(request)
  const uploadId = createUpload(store, {
    bucket,
    key,
    properties: propertiesOf(request),
    tags: tagsOfHeader(headerOf(request, 'x-amz-tagging')),
    ...(checksum && { checksum }),
  })
  return {
    headers: checksum
      ? {
          'x-amz-checksum-algorithm': checksum.algorithm,
          'x-amz-checksum-type': checksum.type,
        }
      : {},
    body: s3Xml('InitiateMultipartUploadResult', { Bucket: bucket, Key: key, UploadId: uploadId }),
  }
}

function wantedChecksum(request: S3Request): Upload['checksum'] {
  const name = headerOf(request, 'x-amz-checksum-algorithm')
  if (name === undefined) return undefined
  const algorithm = findChecksumAlgorithm(name)
  if (!algorithm) {
    throw new S3Error('InvalidRequest', {
      message: `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${CHECKSUM_ALGORITHMS.join(', ')}]`,
    })
  }
  const type = headerOf(request, 'x-amz-checksum-type')?.toUpperCase()
  const usual = algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE'
  const isPossible = type === 'FULL_OBJECT' ? isCrc(algorithm) : algorithm !== 'CRC64NVME'
  if (type !== undefined && !isPossible) {
    throw new S3Error('InvalidRequest', {
      message: `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
    })
  }
  return { algorithm, type: type === 'FULL_OBJECT' || type === 'COMPOSITE' ? type : usual }
}

/** UploadPart. */
export async function uploadPart(store: ObjectStore, request: S3Request): Promise<S3Answer> {
  const ref = uploadRef(request)
  getUpload(store, ref)
  checkLength(request)
  const part = await putPart(store, ref, {
    number: partNumber(request),
    body: request.body.bytes,
    expected: expectedBody(request),
  })
  const headers: Record<string, string> = { etag: `"${part.etag}"` }
  for (const [algorithm, value] of Object.entries(part.checksums)) {
    headers[checksumHeader(algorithm as ChecksumAlgorithm)] = value
  }
  return { headers }
}

/** UploadPartCopy: a part from the bytes of an object. */
export async function uploadPartCopy(store: ObjectStore, request: S3Request): Promise<S3Answer> {
  const ref = uploadRef(request)
  getUpload(store, ref)
  const { body } = await readObject(store, {
    ...copySource(request),
    select: (source) => {
      checkConditions(request, source, 'x-amz-copy-source-')
      const range = headerOf(request, 'x-amz-copy-source-range')
      if (range === undefined) return undefined
      const bytes = /^bytes=\d+-\d+$/.test(range) ? rangeOf(range, source.sizeBytes) : undefined
      if (!bytes || Number(range.split('-')[1]) >= source.sizeBytes) {
        throw invalidArgument(
          `Range specified is not valid for source object of size: ${source.sizeBytes}`,
          'x-amz-copy-source-range',
          range,
        )
      }
      return bytes
    },
  })
  const part = await putPart(store, ref, { number: partNumber(request), body })
  return { body: s3Xml('CopyPartResult', copyResult(part)) }
}

/** CompleteMultipartUpload. */
export async function completeMultipartUpload(
  store: ObjectStore,
  request: S3Request,
): Promise<S3Answer> {
  const ref = uploadRef(request)
  const document = await readXml(request, 'CompleteMultipartUpload')
  const parts = (document.children.get('Part') ?? []).map(namedPart)
  if (parts.length === 0) throw new S3Error('MalformedXML')
  const condition = writeCondition(request)
  const algorithm = CHECKSUM_ALGORITHMS.find((one) => headerOf(request, checksumHeader(one)))
  const size = headerOf(request, 'x-amz-mp-object-size')
  const object = await completeUpload(store, ref, {
    parts,
    ...(condition && { condition }),
    ...(algorithm && {
      checksum: { algorithm, value: headerOf(request, checksumHeader(algorithm)) ?? '' },
    }),
    ...(size !== undefined && { sizeBytes: Number(size) }),
  })
  const { bucket, key } = ref
  const host = headerOf(request, 'host') ?? 'localhost'
  const path = key.split('/').map(encodeURIComponent).join('/')
  return {
    body: s3Xml('CompleteMultipartUploadResult', {
      Location: `http://${host}/${request.isVirtualHost ? '' : `${bucket}/`}${path}`,
      Bucket: bucket,
      Key: key,
      ETag: `"${object.etag}"`,
      ...(object.checksum && {
        [`Checksum${object.checksum.algorithm}`]: object.checksum.value,
        ChecksumType: object.checksum.type,
      }),
    }),
  }
}

function namedPart(part: XmlNode): NamedPart {
  const number = childText(part, 'PartNumber')?.trim() ?? ''
  const etag = childText(part, 'ETag')
    ?.trim()
    .replace(/^"(.*)"$/, '$1')
  if (!/^\d{1,5}$/.test(number) || !etag) throw new S3Error('MalformedXML')
  const checksums: NamedPart['checksums'] = {}
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const value = childText(part, `Checksum${algorithm}`)?.trim()
    if (value) checksums[algorithm] = value
  }
  return { number: Number(number), etag, checksums }
}

/** AbortMultipartUpload. */
export async function abortMultipartUpload(
  store: ObjectStore,
  request: S3Request,
): Promise<S3Answer> {
  await abortUpload(store, uploadRef(request))
  return { status: 204 }
}

/** ListParts. */
export function listPartsAnswer(store: ObjectStore, request: S3Request): S3Answer {
  const ref = uploadRef(request)
  const { checksum, properties } = getUpload(store, ref)
  const limit = limitOf(request.query.get('max-parts'), 'max-parts')
  const marker = request.query.get('part-number-marker') || '0'
  if (!/^\d{1,6}$/.test(marker)) {
    throw invalidArgument('Invalid part-number-marker.', 'part-number-marker', marker)
  }
  const parts = listParts(store, ref, { after: Number(marker), limit: limit + 1 })
  const page = parts.slice(0, limit)
  return {
    body: s3Xml('ListPartsResult', {
      Bucket: ref.bucket,
      Key: ref.key,
      UploadId: ref.uploadId,
      PartNumberMarker: marker,
      NextPartNumberMarker: page.at(-1)?.number ?? 0,
      MaxParts: limit,
      IsTruncated: parts.length > limit,
      Initiator: ownerOf(request.accountId),
      Owner: ownerOf(request.accountId),
      StorageClass: properties.headers['x-amz-storage-class'] ?? 'STANDARD',
      ChecksumAlgorithm: checksum?.algorithm,
      ChecksumType: checksum?.type,
      Part: page.map(
        (part): XmlElements => ({
          PartNumber: part.number,
          LastModified: new Date(part.modifiedMs).toISOString(),
          ETag: `"${part.etag}"`,
          Size: part.sizeBytes,
          ...Object.fromEntries(
            Object.entries(part.checksums).map(([name, value]) => [`Checksum${name}`, value]),
          ),
        }),
      ),
    }),
  }
}

/** ListMultipartUploads. */
export function listMultipartUploads(store: ObjectStore, request: S3Request): S3Answer {
  const { query, accountId } = request
  const { echo, encode, limit, options } = listingOf(request, 'max-uploads')
  const keyMarker = query.get('key-marker') ?? ''
  const idMarker = query.get('upload-id-marker') ?? ''
  const all = listUploads(store, options.bucket, options.prefix)
  const start = firstAfter(all, keyMarker, idMarker)
  const { uploads, prefixes, rest } = rollUp(all.slice(start), options.prefix, {
    delimiter: options.delimiter,
    limit,
    // A page that ended with a common prefix goes on behind all of it.
    skipped: idMarker === '' ? keyMarker : undefined,
  })
  const last = uploads.at(-1)
  const lastPrefix = prefixes.at(-1)
  const endsWithPrefix = lastPrefix !== undefined && lastPrefix > (last?.key ?? '')
  return {
    body: s3Xml('ListMultipartUploadsResult', {
      Bucket: options.bucket,
      KeyMarker: encode(keyMarker),
      UploadIdMarker: idMarker,
      NextKeyMarker: rest ? encode((endsWithPrefix ? lastPrefix : last?.key) ?? '') : undefined,
      NextUploadIdMarker: rest && !endsWithPrefix ? last?.uploadId : undefined,
      Prefix: echo.Prefix,
      Delimiter: echo.Delimiter,
      EncodingType: echo.EncodingType,
      MaxUploads: limit,
      IsTruncated: rest,
      Upload: uploads.map(
        (upload): XmlElements => ({
          Key: encode(upload.key),
          UploadId: upload.uploadId,
          Initiator: ownerOf(accountId),
          Owner: ownerOf(accountId),
          StorageClass: upload.properties.headers['x-amz-storage-class'] ?? 'STANDARD',
          Initiated: new Date(upload.startedMs).toISOString(),
          ChecksumAlgorithm: upload.checksum?.algorithm,
          ChecksumType: upload.checksum?.type,
        }),
      ),
      CommonPrefixes: prefixes.map((prefix) => ({ Prefix: encode(prefix) })),
    }),
  }
}

function firstAfter(uploads: Upload[], key: string, uploadId: string): number {
  if (key === '') return 0
  const same = uploads.findIndex((one) => one.key === key && one.uploadId === uploadId)
  if (uploadId !== '' && same !== -1) return same + 1
  const marker = Buffer.from(key)
  const next = uploads.findIndex((one) => Buffer.from(one.key).compare(marker) > 0)
  return next === -1 ? uploads.length : next
}

function rollUp(
  all: Upload[],
  prefix: string,
  {
    delimiter,
    limit,
    skipped,
  }: { delimiter: string | undefined; limit: number; skipped: string | undefined },
): { uploads: Upload[]; prefixes: string[]; rest: boolean } {
  const uploads: Upload[] = []
  const prefixes: string[] = []
  for (const upload of all) {
    const at = delimiter === undefined ? -1 : upload.key.indexOf(delimiter, prefix.length)
    const rolled = at === -1 ? undefined : upload.key.slice(0, at + (delimiter?.length ?? 0))
    if (rolled !== undefined && (rolled === prefixes.at(-1) || rolled === skipped)) continue
    if (uploads.length + prefixes.length === limit) return { uploads, prefixes, rest: limit > 0 }
    if (rolled === undefined) uploads.push(upload)
    else prefixes.push(rolled)
  }
  return { uploads, prefixes, rest: false }
}

function uploadRef(request: S3Request): UploadRef {
  return { ...objectOf(request), uploadId: request.query.get('uploadId') ?? '' }
}

function partNumber({ query }: S3Request): number {
  return Number(query.get('partNumber') || Number.NaN)
}
