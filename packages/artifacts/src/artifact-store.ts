import type { Readable } from 'node:stream'
import { invalid } from '@millrace/api/errors'
import type { ArtifactPath } from './artifact-path.ts'
import type { AzureOptions } from './azure-account.ts'
import { openAzureStore } from './azure-store.ts'
import type { ByteRange, ResolvedRange } from './byte-range.ts'
import { openFileStore } from './file-store.ts'
import type { GcsOptions } from './gcs-bucket.ts'
import { openGcsStore } from './gcs-store.ts'
import { type ArtifactServer, findHttpRoot } from './http-root.ts'
import { openHttpStore } from './http-store.ts'
import type { ArtifactLocation } from './location.ts'
import type { S3Options } from './s3-options.ts'
import { openS3Store } from './s3-store.ts'

/**
 * Where artifacts are kept. Paths are relative to the store's root; a directory exists when
 * something is below it, or as long as the store cares to keep it. Missing things are
 * RESOURCE_DOES_NOT_EXIST `No such artifact: 'P'` unless said otherwise.
 */
export interface ArtifactStore {
  /**
   * What is directly below a directory, sorted by path in code point order. A path that does not
   * exist or is a file has no entries.
   */
  list(path: ArtifactPath): Promise<ArtifactEntry[]>

  stat(path: ArtifactPath): Promise<ArtifactStat>

  /**
   * The bytes of a file as they were at one moment, whatever is written meanwhile. The caller
   * reads `body` to its end or destroys it. A directory is INVALID_PARAMETER_VALUE.
   */
  open(path: ArtifactPath, options?: OpenOptions): Promise<OpenArtifact>

  /**
   * Stores a file, replacing the one that is there; its directories come into being. Readers see
   * the old file or the new one, whole. When this resolves the file is durable; when it rejects
   * nothing is left of it. A `Readable` that is not read to its end is left open to the caller, who
   * may want to answer on the same socket. A path that is a directory, or that leads through a
   * file where the store cannot have both, is INVALID_PARAMETER_VALUE.
   */
  write(
    path: ArtifactPath,
    body: Readable | AsyncIterable<Uint8Array>,
    options?: WriteOptions,
  ): Promise<WrittenArtifact>

  /** Deletes a file, or a directory with all that is below it; what is missing is no error. */
  delete(path: ArtifactPath): Promise<void>

  /** Ways past this program, straight to the store; undefined where there are none. */
  readonly direct?: DirectAccess
}

/** Signed requests by which clients reach one object without credentials of their own. */
export interface DirectAccess {
  presignDownload(path: ArtifactPath, expiresSeconds: number): Promise<PresignedDownload>
  presignUpload(path: ArtifactPath, expiresSeconds: number): Promise<PresignedRequest>
  /** An upload in parts; `urls` are those of part 1, 2 and so on. */
  createParts(path: ArtifactPath, count: number): Promise<{ uploadId: string; urls: string[] }>
  /** An upload that is unknown or was given up is RESOURCE_DOES_NOT_EXIST. */
  completeParts(path: ArtifactPath, uploadId: string, parts: readonly UploadedPart[]): Promise<void>
  abortParts(path: ArtifactPath, uploadId: string): Promise<void>
}

export interface PresignedRequest {
  url: string
  /** What the client has to send with it, to the letter. */
  headers: Record<string, string>
}

export interface PresignedDownload extends PresignedRequest {
  sizeBytes: number
}

export interface UploadedPart {
  /** From 1 on. */
  number: number
  etag: string
}

export type ArtifactEntry =
  | { kind: 'file'; path: ArtifactPath; sizeBytes: number }
  | { kind: 'directory'; path: ArtifactPath }

export type ArtifactStat = ({ kind: 'file' } & FileVersion) | { kind: 'directory' }

export interface FileVersion {
  totalBytes: number
  /** A strong validator with its quotes, ready for the `ETag` header. */
  etag: string
  lastModified: Date
}

export interface OpenOptions {
  range?: ByteRange
  /** Honour `range` only if this is still the file's ETag; otherwise the whole file is opened. */
  ifRange?: string
}

export interface OpenArtifact extends FileVersion {
  body: Readable
  /** Length of `body`. */
  sizeBytes: number
  /** What `body` covers, when a range was asked for and honoured; `body` is empty when it has none. */
  range?: ResolvedRange | 'unsatisfiable'
}

export interface WriteOptions {
  /** Stops the upload; a body that is not a `Readable` is stopped at its next chunk. */
  signal?: AbortSignal
  /** A longer body is INVALID_PARAMETER_VALUE. */
  sizeMaxBytes?: number
  /** The length of the body, where it is known. */
  sizeBytes?: number
}

export interface WrittenArtifact {
  sizeBytes: number
  /** Lower-case hex. */
  sha256: string
}

/** What stores need to know besides the location. */
export interface StoreOptions {
  s3?: S3Options
  azure?: AzureOptions
  gcs?: GcsOptions
  /** The server that `mlflow-artifacts:` locations are behind; absent in that server itself. */
  server?: ArtifactServer
}

/**
 * The store of a location; nothing is read or created yet.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for a scheme this server cannot reach
 */
export function openStore(location: ArtifactLocation, options: StoreOptions = {}): ArtifactStore {
  if (location.scheme === 'file') return openFileStore(location.path)
  if (location.scheme === 's3') return openS3Store(location, options.s3)
  if (location.scheme === 'other' && location.name === 'wasbs') {
    return openAzureStore(location, options.azure)
  }
  if (location.scheme === 'other' && location.name === 'gs') {
    return openGcsStore(location, options.gcs)
  }
  const root = findHttpRoot(location, options.server)
  if (root) return openHttpStore(root)
  const scheme = location.scheme === 'other' ? location.name : location.scheme
  throw invalid(`No artifact store for the '${scheme}' scheme: '${location.uri}'`)
}
