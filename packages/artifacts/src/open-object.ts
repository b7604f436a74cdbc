import { Readable } from 'node:stream'
import type { ArtifactPath } from './artifact-path.ts'
import type { FileVersion, OpenArtifact, OpenOptions } from './artifact-store.ts'
import { checkedEarly, findCheck } from './body-check.ts'
import { resolveRange } from './byte-range.ts'
import { resumableBody } from './resumable-body.ts'

/** A version of an object that is known before its bytes are asked for. */
export interface KnownObject {
  path: ArtifactPath
  version: FileVersion
  /** What is kept with it, if it is one. */
  sha256: string | undefined
  /** Its bytes from `start` to `end`, of this version alone. */
  read(span: { start: number; end: number; signal: AbortSignal }): Promise<Readable>
}

/** The bytes that are wanted of an object: checked by its SHA-256 when they are all, and resumed. */
export async function openObject(
  { path, version, sha256, read }: KnownObject,
  { range: wanted, ifRange }: OpenOptions,
): Promise<OpenArtifact> {
  const isHonoured = wanted !== undefined && (ifRange === undefined || ifRange === version.etag)
  const range = isHonoured ? resolveRange(wanted, version.totalBytes) : undefined
  if (isHonoured && !range) {
    return { ...version, sizeBytes: 0, range: 'unsatisfiable', body: Readable.from([]) }
  }
  const { start, end } = range ?? { start: 0, end: version.totalBytes - 1 }
  const opened = { ...version, sizeBytes: end - start + 1, ...(range && { range }) }
  if (opened.sizeBytes === 0) return { ...opened, body: Readable.from([]) }
  const stop = new AbortController()
  const from = (at: number) => read({ start: at, end, signal: stop.signal })
  const check = range ? undefined : findCheck(path, sha256)
  const body = resumableBody({ start, end, first: await from(start), read: from, check, stop })
  return await checkedEarly({ ...opened, body }, check)
}
