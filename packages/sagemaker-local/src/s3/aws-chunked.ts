import { createHash } from 'node:crypto'
import type { ChunkSignatures } from '../auth/chunk-signatures.ts'
import { S3Error } from './s3-error.ts'

const LINE_MAX_BYTES = 8 * 1024
const TRAILERS_MAX = 16

export interface AwsChunked {
  /** `x-amz-decoded-content-length`: the body must have just as many bytes. */
  decodedLength: number
  /** When keys are checked and the chunks are signed. */
  signatures?: ChunkSignatures
  hasTrailer: boolean
  /** Called with the trailers when all bytes have arrived, before the end. */
  onTrailers?: (trailers: Map<string, string>) => void
}

/**
 * The bytes inside an `aws-chunked` body: `<size in hex>[;chunk-signature=…]\r\n<bytes>\r\n`, up to
 * a chunk of size 0, then perhaps trailers. Memory is that of the pieces that come in.
 */
export async function* decodeAwsChunked(
  body: AsyncIterable<Uint8Array>,
  { decodedLength, signatures, hasTrailer, onTrailers }: AwsChunked,
): AsyncGenerator<Uint8Array> {
  const reader = createReader(body)
  let received = 0
  for (;;) {
    const { sizeBytes, signature } = chunkHead(await reader.line())
    received += sizeBytes
    if (received > decodedLength) throw wrongLength()
    const hash = createHash('sha256')
    for await (const piece of reader.bytes(sizeBytes)) {
      if (signatures) hash.update(piece)
      yield piece
    }
    signatures?.verifyChunk(signature ?? '', hash.digest('hex'))
    if (sizeBytes === 0) break
    if ((await reader.line()) !== '') throw new S3Error('IncompleteBody')
  }
  if (received !== decodedLength) throw wrongLength()
  const trailers = hasTrailer ? await readTrailers(reader, signatures) : new Map()
  onTrailers?.(trailers)
}

function chunkHead(line: string): { sizeBytes: number; signature: string | undefined } {
  const [, size, signature] =
    /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line) ?? []
  if (size === undefined) {
    throw new S3Error('InvalidRequest', {
      message: `The head of a chunk of the aws-chunked body is malformed: '${line.slice(0, 40)}'.`,
    })
  }
  return { sizeBytes: Number.parseInt(size, 16), signature }
}

async function readTrailers(
  reader: Reader,
  signatures: ChunkSignatures | undefined,
): Promise<Map<string, string>> {
  const trailers = new Map<string, string>()
  for (;;) {
    const line = await reader.line()
    if (line === '') break
    const colon = line.indexOf(':')
    if (colon < 1 || trailers.size === TRAILERS_MAX) throw new S3Error('MalformedTrailerError')
    trailers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim())
  }
  const signature = trailers.get('x-amz-trailer-signature')
  trailers.delete('x-amz-trailer-signature')
  if (signatures) {
    const signed = [...trailers].map(([name, value]) => `${name}:${value}\n`).join('')
    signatures.verifyTrailer(signature ?? '', signed)
  }
  return trailers
}

function wrongLength(): S3Error {
  return new S3Error('IncompleteBody', {
    message:
      'You did not provide the number of bytes specified by the x-amz-decoded-content-length HTTP header.',
  })
}

interface Reader {
  /** The text up to the next line end, without it; '' also at the end of the body. */
  line(): Promise<string>
  /** The next bytes, in the pieces in which they came. */
  bytes(count: number): AsyncGenerator<Uint8Array>
}

function createReader(body: AsyncIterable<Uint8Array>): Reader {
  const source = body[Symbol.asyncIterator]()
  let rest: Uint8Array = new Uint8Array()
  /** Makes `rest` hold something; false at the end. */
  const fill = async () => {
    while (rest.length === 0) {
      const { done, value } = await source.next()
      if (done) return false
      rest = value
    }
    return true
  }
  return {
    line: async () => {
      const pieces: Uint8Array[] = []
      let length = 0
      while (await fill()) {
        const end = rest.indexOf(10)
        const piece = end === -1 ? rest : rest.subarray(0, end)
        pieces.push(piece)
        length += piece.length
        if (length > LINE_MAX_BYTES) throw new S3Error('IncompleteBody')
        rest = end === -1 ? new Uint8Array() : rest.subarray(end + 1)
        if (end !== -1) break
      }
      return Buffer.concat(pieces).toString('latin1').replace(/\r$/, '')
    },
    bytes: async function* (count) {
      for (let left = count; left > 0; ) {
        if (!(await fill())) throw new S3Error('IncompleteBody')
        const piece = rest.subarray(0, left)
        rest = rest.subarray(piece.length)
        left -= piece.length
        yield piece
      }
    },
  }
}
