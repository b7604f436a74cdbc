import { createHash } from 'node:crypto'
import { hmac, isSame, type VerifiedSignature } from './sigv4.ts'
import { SigV4Error } from './sigv4-error.ts'

/** The signatures of the chunks of one body, each of which continues the one before it. */
export interface ChunkSignatures {
  /** Checks the signature of a chunk with this SHA-256 (hex). */
  verifyChunk(signature: string, sha256: string): void
  /** Checks the signature of the trailers, written `name:value\n` each. */
  verifyTrailer(signature: string, trailer: string): void
}

const EMPTY = createHash('sha256').digest('hex')

/** Goes on from the signature of the request's head. A wrong one is `SignatureDoesNotMatch`. */
export function startChunkSignatures(head: VerifiedSignature): ChunkSignatures {
  const { date, region, service } = head.scope
  let last = head.signature
  const verify = (signature: string, algorithm: string, ...hashes: string[]) => {
    const scope = `${date}/${region}/${service}/aws4_request`
    const stringToSign = [algorithm, head.signedAt, scope, last, ...hashes].join('\n')
    const expected = hmac(head.signingKey, stringToSign).toString('hex')
    if (!isSame(expected, signature)) {
      throw new SigV4Error(
        'SignatureDoesNotMatch',
        'The signature of a chunk of the body does not match its bytes.',
        { StringToSign: stringToSign, SignatureProvided: signature },
      )
    }
    last = signature
  }
  return {
    verifyChunk: (signature, sha256) =>
      verify(signature, 'AWS4-HMAC-SHA256-PAYLOAD', EMPTY, sha256),
    verifyTrailer: (signature, trailer) =>
      verify(
        signature,
        'AWS4-HMAC-SHA256-TRAILER',
        createHash('sha256').update(trailer).digest('hex'),
      ),
  }
}
