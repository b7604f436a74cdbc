import { createHash, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import type { ReadableStream as WebStream } from 'node:stream/web'
import { invalid } from '@millrace/api/errors'
import {
  type ArtifactPath,
  formatArtifactPath,
  isArtifactName,
  joinArtifactPaths,
  parseArtifactPath,
} from './artifact-path.ts'
import { isADirectory, noFileName, noSuchArtifact } from './artifact-refusal.ts'
import type {
  ArtifactEntry,
  ArtifactStat,
  ArtifactStore,
  FileVersion,
  OpenArtifact,
  OpenOptions,
  WriteOptions,
  WrittenArtifact,
} from './artifact-store.ts'
import { type ByteRange, type ResolvedRange, resolveRange } from './byte-range.ts'
import { toHttpFailure, toUnreachable } from './http-failure.ts'
import { objectEntries, quotedEtag } from './object-entries.ts'
import { resumableBody } from './resumable-body.ts'
import { uploadChunks } from './upload-body.ts'

/** A directory behind the artifact routes of an MLflow server, ours or MLflow's own. */
export interface HttpRoot {
  /** Origin and path prefix of the server, without a slash at the end. */
  url: string
  /** Credentials, for this server alone. */
  headers: Readonly<Record<string, string>>
  segments: ArtifactPath
}

/** An answer to a request without a body is waited for this long. */
const ANSWER_MAX_MS = 60_000
const TRIES_MAX = 3

/**
 * A store behind `/api/2.0/mlflow-artifacts/artifacts` of another server, as MLflow 3.17
 * `HttpArtifactRepository` speaks to it. MLflow's own server knows no ranges and no ETags: a range is
 * then cut out of the whole file, and a download that breaks off there cannot be taken up again.
 */
export function openHttpStore(root: HttpRoot): ArtifactStore {
  return {
    list: (path) => list(root, path),
    stat: (path) => stat(root, path),
    open: (path, options = {}) => openArtifact(root, path, options),
    write: (path, body, options = {}) => write(root, path, body, options),
    delete: (path) => deleteArtifact(root, path),
  }
}

async function list(root: HttpRoot, path: ArtifactPath): Promise<ArtifactEntry[]> {
  const query = new URLSearchParams({ path: formatArtifactPath(inRoot(root, path)) })
  const response = await request(root, path, 'GET', `?${query}`)
  if (!response.ok) throw await toHttpFailure(response, root.url, path)
  const { files = [] } = (await response.json()) as {
    files?: { path?: unknown; is_dir?: unknown; file_size?: unknown }[]
  }
  const directories: string[] = []
  const sizesByFile: [string, number][] = []
  for (const { path: listed, is_dir, file_size } of files) {
    const name = String(listed).slice(String(listed).lastIndexOf('/') + 1)
    if (!isArtifactName(name)) {
      throw invalid(`${root.url} lists an artifact by the name '${String(listed)}'.`)
    }
    if (is_dir === true) directories.push(name)
    else sizesByFile.push([name, Number(file_size ?? 0)])
  }
  return objectEntries(path, { directories, sizesByFile })
}

async function stat(root: HttpRoot, path: ArtifactPath): Promise<ArtifactStat> {
  if (path.length === 0) return { kind: 'directory' }
  const entry = await findEntry(root, path)
  if (!entry) throw noSuchArtifact(path)
  if (entry.kind === 'directory') return { kind: 'directory' }
  // Not a HEAD, which MLflow's server answers with another ETag than a GET.
  const response = await request(root, path, 'GET')
  if (!response.ok) throw await toHttpFailure(response, root.url, path)
  await response.body?.cancel()
  return { kind: 'file', ...versionOf(response, entry.sizeBytes) }
}

async function openArtifact(
  root: HttpRoot,
  path: ArtifactPath,
  { range, ifRange }: OpenOptions,
): Promise<OpenArtifact> {
  if (path.length === 0) throw isADirectory(path)
  const stop = new AbortController()
  const response = await request(root, path, 'GET', '', {
    headers: {
      ...(range && { range: rangeHeader(range) }),
      ...(range && ifRange !== undefined && { 'if-range': ifRange }),
    },
    signal: stop.signal,
  })
  if (response.status === 416) {
    await response.body?.cancel()
    const [, total = '0'] =
      /^bytes \*\/(\d+)$/.exec(response.headers.get('content-range') ?? '') ?? []
    const version = versionOf(response, Number(total))
    return { ...version, sizeBytes: 0, range: 'unsatisfiable', body: Readable.from([]) }
  }
  if (!response.ok) throw await openFailure(root, path, response)
  const body = bodyOf(response)
  const answered = answeredRange(response)
  const lengthBytes = answered?.totalBytes ?? contentLength(response) ?? (await sizeOf(root, path))
  const version = versionOf(response, lengthBytes)
  if (range && !answered && ifRange === undefined) {
    return cutRange(version, body, resolveRange(range, version.totalBytes))
  }
  const whole = { start: 0, end: version.totalBytes - 1 }
  const { start, end } = answered ?? whole
  const read = (at: number) => readFrom(root, path, version, { start: at, end }, stop.signal)
  return {
    ...version,
    sizeBytes: end - start + 1,
    ...(answered && { range: { start, end } }),
    body: resumableBody({ start, end, first: body, read, stop }),
  }
}

/** The same version from a later byte on, from servers that say which version they give. */
async function readFrom(
  root: HttpRoot,
  path: ArtifactPath,
  { etag }: FileVersion,
  { start, end }: ResolvedRange,
  signal: AbortSignal,
): Promise<Readable> {
  const headers = { range: `bytes=${start}-${end}`, 'if-range': etag }
  const response = await request(root, path, 'GET', '', { headers, signal })
  const answered = answeredRange(response)
  if (response.ok && answered?.start === start && answered.end === end) return bodyOf(response)
  await response.body?.cancel()
  throw toUnreachable(new Error('a download broke off and cannot be taken up again'), root.url)
}

/** What a server that knows no ranges would have answered if it knew them. */
function cutRange(
  version: FileVersion,
  body: Readable,
  range: ResolvedRange | undefined,
): OpenArtifact {
  if (!range) {
    body.destroy()
    return { ...version, sizeBytes: 0, range: 'unsatisfiable', body: Readable.from([]) }
  }
  const { start, end } = range
  async function* cut() {
    let at = 0
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      const piece = chunk.subarray(Math.max(start - at, 0), Math.max(end + 1 - at, 0))
      at += chunk.length
      if (piece.length > 0) yield piece
      if (at > end) return
    }
  }
  const sizeBytes = end - start + 1
  return { ...version, sizeBytes, range, body: Readable.from(cut(), { objectMode: false }) }
}

async function write(
  root: HttpRoot,
  path: ArtifactPath,
  body: Readable | AsyncIterable<Uint8Array>,
  options: WriteOptions,
): Promise<WrittenArtifact> {
  if (path.length === 0) throw noFileName()
  const hash = createHash('sha256')
  let sizeBytes = 0
  let bodyFailure: unknown
  async function* hashed() {
    try {
      for await (const chunk of uploadChunks(body, options)) {
        hash.update(chunk)
        sizeBytes += chunk.length
        yield chunk
      }
    } catch (error) {
      bodyFailure = error
      throw error
    }
  }
  const { sizeBytes: announcedBytes, signal } = options
  const response = await fetch(urlOf(root, path), {
    method: 'PUT',
    headers: {
      ...root.headers,
      ...(announcedBytes !== undefined && { 'content-length': String(announcedBytes) }),
    },
    // The same streams under two type names: those of browsers and those of Node.
    body: Readable.toWeb(Readable.from(hashed(), { objectMode: false })) as ReadableStream,
    ...{ duplex: 'half' },
    redirect: 'error',
    ...(signal && { signal }),
  }).catch((error: unknown) => {
    throw bodyFailure ?? toUnreachable(error, root.url)
  })
  if (!response.ok) throw await toHttpFailure(response, root.url, path)
  await response.body?.cancel()
  return { sizeBytes, sha256: hash.digest('hex') }
}

async function deleteArtifact(root: HttpRoot, path: ArtifactPath): Promise<void> {
  if (inRoot(root, path).length === 0) {
    for (const entry of await list(root, path)) await deleteArtifact(root, entry.path)
    return
  }
  const response = await request(root, path, 'DELETE')
  if (!response.ok && response.status !== 404) throw await toHttpFailure(response, root.url, path)
  await response.body?.cancel()
}

/** MLflow's server answers 500 for the bytes of a directory. */
async function openFailure(root: HttpRoot, path: ArtifactPath, response: Response) {
  const failure = await toHttpFailure(response, root.url, path)
  const entry = await findEntry(root, path)
  if (entry?.kind === 'directory') return isADirectory(path)
  return entry ? failure : noSuchArtifact(path)
}

async function findEntry(root: HttpRoot, path: ArtifactPath): Promise<ArtifactEntry | undefined> {
  const directory = parseArtifactPath(formatArtifactPath(path).split('/').slice(0, -1).join('/'))
  const entries = await list(root, directory)
  return entries.find((entry) => entry.path.at(-1) === path.at(-1))
}

async function sizeOf(root: HttpRoot, path: ArtifactPath): Promise<number> {
  const entry = await findEntry(root, path)
  if (entry?.kind !== 'file') throw noSuchArtifact(path)
  return entry.sizeBytes
}

async function request(
  root: HttpRoot,
  path: ArtifactPath,
  method: 'GET' | 'DELETE',
  query = '',
  { headers = {}, signal }: { headers?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<Response> {
  const url = query === '' ? urlOf(root, path) : `${root.url}${ROUTE}${query}`
  for (let tries = 1; ; tries++) {
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(new Error('no answer')), ANSWER_MAX_MS)
    try {
      const response = await fetch(url, {
        method,
        // The length and the ranges of a file are those of its bytes.
        headers: { ...root.headers, 'accept-encoding': 'identity', ...headers },
        redirect: 'error',
        signal: signal ? AbortSignal.any([signal, late.signal]) : late.signal,
      })
      if (response.status < 502 || tries >= TRIES_MAX) return response
      await response.body?.cancel()
    } catch (error) {
      if (tries >= TRIES_MAX || signal?.aborted) throw toUnreachable(error, root.url)
    } finally {
      clearTimeout(timer)
    }
  }
}

const ROUTE = '/api/2.0/mlflow-artifacts/artifacts'

function urlOf(root: HttpRoot, path: ArtifactPath): string {
  return `${root.url}${ROUTE}/${inRoot(root, path).map(encodeURIComponent).join('/')}`
}

function inRoot({ segments }: HttpRoot, path: ArtifactPath): ArtifactPath {
  return joinArtifactPaths(segments, path)
}

/** A version that the server gives no name has one that nothing equals. */
function versionOf({ headers }: Response, totalBytes: number): FileVersion {
  const etag = headers.get('etag')
  const isStrong = etag !== null && !etag.startsWith('W/')
  const lastModified = Date.parse(headers.get('last-modified') ?? '')
  return {
    totalBytes,
    etag: quotedEtag(isStrong ? etag : randomUUID()),
    lastModified: new Date(Number.isNaN(lastModified) ? 0 : lastModified),
  }
}

function answeredRange({ status, headers }: Response) {
  const [, start, end, total] =
    /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get('content-range') ?? '') ?? []
  if (status !== 206 || start === undefined) return undefined
  return { start: Number(start), end: Number(end), totalBytes: Number(total) }
}

function contentLength({ headers }: Response): number | undefined {
  const length = headers.get('content-length')
  return length === null ? undefined : Number(length)
}

function rangeHeader(range: ByteRange): string {
  return 'lastBytes' in range
    ? `bytes=-${range.lastBytes}`
    : `bytes=${range.start}-${range.end ?? ''}`
}

function bodyOf({ body }: Response): Readable {
  return body ? Readable.fromWeb(body as WebStream) : Readable.from([])
}
