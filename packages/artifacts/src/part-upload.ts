import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { invalid } from '@millrace/api/errors'
import type { WriteOptions, WrittenArtifact } from './artifact-store.ts'
import { PARTS_MAX, type PartSizes, partBytes, partSizes } from './part-sizes.ts'
import { uploadChunks } from './upload-body.ts'

/** Where a body goes: whole if it is small, or else in parts. */
export interface PartTarget {
  putWhole(bytes: Buffer, sha256: string): Promise<void>
  /** `sizes` are those of the parts to come, of which the last may be smaller. */
  begin(sizes: PartSizes): Promise<PartUpload>
}

export interface PartSending {
  signal: AbortSignal
  isLast: boolean
}

export interface PartUpload {
  /** Uploads the part of a number, from 1 on; `bytes` are written over once this resolves. */
  send(bytes: Buffer, number: number, sending: PartSending): Promise<void>
  complete(sha256: string): Promise<void>
  /** Removes what was sent; never rejects. */
  abort(): Promise<void>
}

/**
 * Uploads a body of any length while holding two parts of it: one on its way, one being filled.
 * Whatever fails, also the body itself, leaves no parts behind.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for a body that is longer than allowed or announced
 */
export async function uploadInParts(
  target: PartTarget,
  body: Readable | AsyncIterable<Uint8Array>,
  options: WriteOptions,
): Promise<WrittenArtifact> {
  const announcedBytes = options.sizeBytes
  const hash = createHash('sha256')
  const sizes = partSizes(announcedBytes)
  const parts = new PartSequence(target, sizes, options.signal)
  let sizeBytes = 0
  let part = newPart(partBytes(sizes, 1), announcedBytes)
  try {
    for await (const chunk of uploadChunks(body, options)) {
      hash.update(chunk)
      sizeBytes += chunk.length
      if (sizeBytes > (announcedBytes ?? Infinity))
        throw invalid('The body is longer than announced')
      for (let taken = 0; taken < chunk.length; ) {
        if (part.usedBytes === part.bytes.length) {
          const free = await parts.send(part, false)
          const wanted = partBytes(sizes, parts.count + 1)
          part = free?.bytes.length === wanted ? { ...free, usedBytes: 0 } : newPart(wanted)
        }
        taken += fill(part, chunk.subarray(taken))
      }
    }
    const sha256 = hash.digest('hex')
    if (parts.count === 0) await target.putWhole(used(part), sha256)
    else await parts.finish(part, sha256)
    return { sizeBytes, sha256 }
  } catch (error) {
    await parts.abort()
    throw error
  }
}

interface Part {
  bytes: Buffer
  usedBytes: number
}

/** Parts on their way, one after the other. */
class PartSequence {
  count = 0
  readonly #target: PartTarget
  readonly #sizes: PartSizes
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  #upload: PartUpload | undefined
  #underWay: Promise<Part> | undefined

  constructor(target: PartTarget, sizes: PartSizes, signal: AbortSignal | undefined) {
    this.#target = target
    this.#sizes = sizes
    this.#signal = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal
  }

  /** Sends a full part once the one before is done, and gives that one back to be filled again. */
  async send(part: Part, isLast: boolean): Promise<Part | undefined> {
    this.#upload ??= await this.#target.begin(this.#sizes)
    const upload = this.#upload
    const free = await this.#underWay
    if (this.count >= PARTS_MAX) throw invalid('The body is too large to pass through a server')
    const number = ++this.count
    this.#underWay = upload
      .send(used(part), number, { signal: this.#signal, isLast })
      .then(() => part)
    // Whoever waits for it gets the error; until then it must not end the process.
    this.#underWay.catch(() => undefined)
    return free
  }

  async finish(last: Part, sha256: string): Promise<void> {
    await this.send(last, true)
    await this.#underWay
    await this.#upload?.complete(sha256)
  }

  async abort(): Promise<void> {
    this.#stop.abort()
    await this.#underWay?.catch(() => undefined)
    await this.#upload?.abort()
  }
}

function newPart(partBytes: number, sizeBytes = Infinity): Part {
  return { bytes: Buffer.allocUnsafeSlow(Math.min(partBytes, sizeBytes)), usedBytes: 0 }
}

function fill(part: Part, chunk: Uint8Array): number {
  const taken = Math.min(chunk.length, part.bytes.length - part.usedBytes)
  part.bytes.set(chunk.subarray(0, taken), part.usedBytes)
  part.usedBytes += taken
  return taken
}

function used({ bytes, usedBytes }: Part): Buffer {
  return bytes.subarray(0, usedBytes)
}
