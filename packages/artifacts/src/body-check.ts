import { createHash, type Hash } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { ApiError } from '@millrace/api/errors'
import { type ArtifactPath, formatArtifactPath } from './artifact-path.ts'
import type { OpenArtifact } from './artifact-store.ts'
import { type PartSizes, partBytes } from './part-sizes.ts'

/** Tells whether a body is the one that was stored. */
export interface BodyCheck {
  update(chunk: Uint8Array): void
  /** Rejects with INVALID_STATE when the bytes since the beginning are other ones. */
  verify(): Promise<void>
}

/** A checksum that is being computed; `digest` has the form in which the store keeps it. */
export interface RunningDigest {
  update(chunk: Uint8Array): void
  digest(): string
}

/**
 * Compares a body with what the store says of it, which may come while the body does; undefined
 * when it says nothing.
 */
export function bodyCheck(
  path: ArtifactPath,
  digest: RunningDigest,
  expected: Promise<string | undefined>,
): BodyCheck {
  // Whoever verifies gets the error; a body that is given up must not end the process.
  expected.catch(() => undefined)
  return {
    update: (chunk) => digest.update(chunk),
    async verify() {
      const stored = await expected
      if (stored === undefined || digest.digest() === stored) return
      throw new ApiError(
        'INVALID_STATE',
        `'${formatArtifactPath(path)}' is damaged in the artifact store: its bytes do not have the ` +
          'SHA-256 that they were stored with.',
      )
    },
  }
}

/** The check of a file whose SHA-256 (lower-case hex) is kept with it, if it is. */
export function findCheck(path: ArtifactPath, sha256: string | undefined): BodyCheck | undefined {
  if (sha256 === undefined || !/^[0-9a-f]{64}$/.test(sha256)) return undefined
  return bodyCheck(path, wholeDigest(), Promise.resolve(sha256))
}

/** The damage of a file up to this size is told before the answer begins. */
const EARLY_BYTES_MAX = 256 * 1024

/** A small file is read and checked at once, so that its damage is an error and not a broken answer. */
export async function checkedEarly(
  opened: OpenArtifact,
  check: BodyCheck | undefined,
): Promise<OpenArtifact> {
  if (!check || opened.sizeBytes > EARLY_BYTES_MAX) return opened
  return { ...opened, body: Readable.from([await buffer(opened.body)], { objectMode: false }) }
}

/** SHA-256 of all bytes, in lower-case hex. */
function wholeDigest(): RunningDigest {
  const hash = createHash('sha256')
  return { update: (chunk) => void hash.update(chunk), digest: () => hash.digest('hex') }
}

/**
 * The composite SHA-256 of S3, the one over those of the parts: base64, `-` and how many they are.
 */
export function compositeDigest(sizes: PartSizes): RunningDigest {
  const ofParts = createHash('sha256')
  let [count, leftBytes] = [0, 0]
  let part: Hash | undefined
  const endPart = () => {
    if (part) ofParts.update(part.digest())
    part = undefined
  }
  return {
    update(chunk) {
      for (let taken = 0; taken < chunk.length; ) {
        if (leftBytes === 0) {
          endPart()
          part = createHash('sha256')
          leftBytes = partBytes(sizes, ++count)
        }
        const piece = chunk.subarray(taken, taken + leftBytes)
        part?.update(piece)
        taken += piece.length
        leftBytes -= piece.length
      }
    },
    digest() {
      endPart()
      return `${ofParts.digest('base64')}-${count}`
    },
  }
}
