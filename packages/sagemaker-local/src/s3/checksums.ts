import { createHash } from 'node:crypto'
import { type CrcAlgorithm, combineCrcs, type RunningChecksum, startCrc } from './crc.ts'

/** The additional checksums of S3, in the order in which S3 names them. */
export const CHECKSUM_ALGORITHMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number]

/** Over the bytes of the object, or over the checksums of its parts. */
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE'

/** A checksum as S3 sends it: base64, with `-<parts>` behind a composite one. */
export interface Checksum {
  algorithm: ChecksumAlgorithm
  type: ChecksumType
  value: string
}

/** Starts the checksum of no bytes. */
export function startChecksum(algorithm: ChecksumAlgorithm): RunningChecksum {
  if (isCrc(algorithm)) return startCrc(algorithm)
  const hash = createHash(algorithm === 'SHA1' ? 'sha1' : 'sha256')
  return { update: (chunk) => void hash.update(chunk), digest: () => hash.digest() }
}

/** The checksum of a multipart object from those of its parts (base64). */
export function checksumOfParts(
  algorithm: ChecksumAlgorithm,
  type: ChecksumType,
  parts: { value: string; sizeBytes: number }[],
): Checksum {
  const digests = parts.map(({ value, sizeBytes }) => ({
    digest: Buffer.from(value, 'base64'),
    sizeBytes,
  }))
  if (type === 'FULL_OBJECT' && isCrc(algorithm)) {
    return { algorithm, type, value: combineCrcs(algorithm, digests).toString('base64') }
  }
  const checksum = startChecksum(algorithm)
  for (const { digest } of digests) checksum.update(digest)
  return {
    algorithm,
    type: 'COMPOSITE',
    value: `${checksum.digest().toString('base64')}-${parts.length}`,
  }
}

/** The algorithm that a header or an element names, in whatever case; undefined if none of S3's. */
export function findChecksumAlgorithm(name: string | undefined): ChecksumAlgorithm | undefined {
  return CHECKSUM_ALGORITHMS.find((algorithm) => algorithm === name?.toUpperCase())
}

/** `x-amz-checksum-crc32` and so on. */
export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`
}

/** Whether the checksum of a whole follows from those of its parts. */
export function isCrc(algorithm: ChecksumAlgorithm): algorithm is CrcAlgorithm {
  return algorithm.startsWith('CRC')
}
