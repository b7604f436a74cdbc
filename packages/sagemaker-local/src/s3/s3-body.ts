import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { startChunkSignatures } from '../auth/chunk-signatures.ts'
import { otherBody, type VerifiedSignature } from '../auth/sigv4.ts'
import { decodeAwsChunked } from './aws-chunked.ts'
import {
  CHECKSUM_ALGORITHMS,
  checksumHeader,
  findChecksumAlgorithm,
  startChecksum,
} from './checksums.ts'
import type { ExpectedBody } from './objects.ts'
import { notImplemented, S3Error } from './s3-error.ts'
import { headerOf, type S3Body, type S3Request } from './s3-request.ts'
import { parseXml, type XmlNode } from './s3-xml.ts'

// Ten thousand parts with checksums are two megabytes, a thousand keys of escaped letters eight.
const XML_MAX_BYTES = 8 * 1024 ** 2

const STREAMING = new Set([
  'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
])

/** The body of a request, checked against the signature where there is one. */
export function s3Body(raw: IncomingMessage, signature: VerifiedSignature | undefined): S3Body {
  const payload = signature?.payload ?? headerOf(raw, 'x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD'
  const pieces: AsyncIterable<Uint8Array> = raw.iterator({ destroyOnReturn: false })
  const isChunked = /\baws-chunked\b/.test(headerOf(raw, 'content-encoding') ?? '')
  const decodedLength = lengthOf(headerOf(raw, 'x-amz-decoded-content-length'))
  if (payload.startsWith('STREAMING-') || (isChunked && decodedLength !== undefined)) {
    return chunkedBody(pieces, { payload, signature, decodedLength })
  }
  return {
    bytes: /^[0-9a-f]{64}$/.test(payload) ? verifiedBytes(pieces, payload) : pieces,
    length: lengthOf(headerOf(raw, 'content-length')),
    trailer: () => undefined,
  }
}

function chunkedBody(
  pieces: AsyncIterable<Uint8Array>,
  {
    payload,
    signature,
    decodedLength,
  }: {
    payload: string
    signature: VerifiedSignature | undefined
    decodedLength: number | undefined
  },
): S3Body {
  if (payload.startsWith('STREAMING-') && !STREAMING.has(payload)) throw notImplemented(payload)
  if (decodedLength === undefined) throw new S3Error('MissingContentLength')
  const isSigned = signature !== undefined && payload.startsWith('STREAMING-AWS4-HMAC')
  let trailers = new Map<string, string>()
  return {
    bytes: decodeAwsChunked(pieces, {
      decodedLength,
      hasTrailer: payload.endsWith('-TRAILER'),
      ...(isSigned && { signatures: startChunkSignatures(signature) }),
      onTrailers: (received) => {
        trailers = received
      },
    }),
    length: decodedLength,
    trailer: (name) => trailers.get(name),
  }
}

async function* verifiedBytes(
  pieces: AsyncIterable<Uint8Array>,
  expected: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  for await (const piece of pieces) {
    hash.update(piece)
    yield piece
  }
  const computed = hash.digest('hex')
  if (computed !== expected) throw otherBody(expected, computed)
}

/** What the headers say the body is: its MD5, and a checksum here or in a trailer. */
export function expectedBody(request: S3Request): ExpectedBody {
  const md5 = headerOf(request, 'content-md5')
  const digest = md5 === undefined ? undefined : Buffer.from(md5, 'base64')
  if (digest && digest.length !== 16) throw new S3Error('InvalidDigest')
  const sent = CHECKSUM_ALGORITHMS.filter(
    (algorithm) => headerOf(request, checksumHeader(algorithm)) !== undefined,
  )
  if (sent.length > 1) {
    throw new S3Error('InvalidRequest', {
      message:
        'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    })
  }
  const trailer = headerOf(request, 'x-amz-trailer')?.trim().toLowerCase()
  const inTrailer = CHECKSUM_ALGORITHMS.find((algorithm) => checksumHeader(algorithm) === trailer)
  const algorithm =
    sent[0] ?? inTrailer ?? findChecksumAlgorithm(headerOf(request, 'x-amz-sdk-checksum-algorithm'))
  return {
    ...(digest && { md5: digest }),
    ...(algorithm && { checksum: { algorithm, value: () => saidChecksum(request, algorithm) } }),
  }

  function saidChecksum(request: S3Request, algorithm: (typeof CHECKSUM_ALGORITHMS)[number]) {
    const name = checksumHeader(algorithm)
    const said = headerOf(request, name) ?? request.body.trailer(name)
    if (said === undefined && inTrailer) throw new S3Error('MalformedTrailerError')
    return said
  }
}

/** A whole small body as text; one over eight megabytes is refused while it comes in. */
export async function readText(request: S3Request): Promise<string> {
  const { md5, checksum } = expectedBody(request)
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of request.body.bytes) {
    length += piece.length
    if (length > XML_MAX_BYTES) throw new S3Error('MalformedXML')
    pieces.push(piece)
  }
  const body = Buffer.concat(pieces)
  if (md5 && !createHash('md5').update(body).digest().equals(md5)) throw new S3Error('BadDigest')
  // Without this header a checksum is not of the document, but of the object that it completes.
  const isOfDocument = headerOf(request, 'x-amz-sdk-checksum-algorithm') !== undefined
  const said = isOfDocument ? checksum?.value() : undefined
  if (checksum && said !== undefined) {
    const sum = startChecksum(checksum.algorithm)
    sum.update(body)
    if (sum.digest().toString('base64') !== said) throw new S3Error('BadDigest')
  }
  return body.toString('utf8')
}

/** The XML of a body, whose root must have this name. */
export async function readXml(request: S3Request, root: string): Promise<XmlNode> {
  const text = await readText(request)
  if (text === '') throw new S3Error('MissingRequestBodyError')
  return parseXml(text, root)
}

function lengthOf(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : undefined
}
