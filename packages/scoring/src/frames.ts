/** One message between the server and a worker: a small JSON header and bytes. */
export interface Frame {
  header: Record<string, unknown>
  body: Buffer
}

/** What the two 32-bit lengths can say; no request or answer may be longer. */
export const FRAME_BODY_BYTES_MAX = 0xffff_ffff

const LENGTHS_BYTES = 8
// Headers hold an id, a status and a content type; a longer one is not from our worker.
const HEADER_BYTES_MAX = 1 << 20

/** The bytes of a frame, up to its body: two big-endian 32-bit lengths and the header as JSON. */
export function frameHead(header: Record<string, unknown>, bodyBytes: number): Buffer {
  const text = Buffer.from(JSON.stringify(header))
  const head = Buffer.allocUnsafe(LENGTHS_BYTES + text.length)
  head.writeUInt32BE(text.length, 0)
  head.writeUInt32BE(bodyBytes, 4)
  text.copy(head, LENGTHS_BYTES)
  return head
}

/** Cuts a stream of bytes into frames, however the bytes arrive. */
export class FrameReader {
  #chunks: Buffer[] = []
  #bytes = 0
  // Nothing is joined before this many bytes are there, so a long body is copied once.
  #bytesNeeded = LENGTHS_BYTES

  /**
   * Takes the next bytes and gives the frames that they complete.
   *
   * @throws Error when the bytes are no frames
   */
  push(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes < this.#bytesNeeded) return []

    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#bytes)
    const frames: Frame[] = []
    this.#bytesNeeded = frameBytes(rest)
    while (rest.length >= this.#bytesNeeded) {
      frames.push(decodeFrame(rest.subarray(0, this.#bytesNeeded)))
      rest = rest.subarray(this.#bytesNeeded)
      this.#bytesNeeded = frameBytes(rest)
    }
    this.#chunks = rest.length === 0 ? [] : [rest]
    this.#bytes = rest.length
    return frames
  }
}

/** The length of the frame that begins here; that of the lengths alone while they are not there. */
function frameBytes(bytes: Buffer): number {
  if (bytes.length < LENGTHS_BYTES) return LENGTHS_BYTES
  const headerBytes = bytes.readUInt32BE(0)
  if (headerBytes > HEADER_BYTES_MAX) throw new Error(`a header of ${headerBytes} bytes`)
  return LENGTHS_BYTES + headerBytes + bytes.readUInt32BE(4)
}

function decodeFrame(bytes: Buffer): Frame {
  const bodyAt = LENGTHS_BYTES + bytes.readUInt32BE(0)
  const header: unknown = JSON.parse(bytes.toString('utf8', LENGTHS_BYTES, bodyAt))
  if (typeof header !== 'object' || header === null) throw new Error('a header that is no object')
  return { header: header as Record<string, unknown>, body: bytes.subarray(bodyAt) }
}
