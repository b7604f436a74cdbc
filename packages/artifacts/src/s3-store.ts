import { Readable } from 'node:stream'
import { invariant } from '@millrace/api/errors'
import type { ArtifactPath } from './artifact-path.ts'
import { isADirectory } from './artifact-refusal.ts'
import type {
  ArtifactEntry,
  ArtifactStat,
  ArtifactStore,
  FileVersion,
  OpenArtifact,
  OpenOptions,
} from './artifact-store.ts'
import { type BodyCheck, checkedEarly } from './body-check.ts'
import { type ByteRange, type ResolvedRange, resolveRange } from './byte-range.ts'
import type { S3Location } from './location.ts'
import { directoryPrefix, objectEntries, quotedEtag } from './object-entries.ts'
import { uploadInParts } from './part-upload.ts'
import { resumableBody } from './resumable-body.ts'
import { bucketOpener } from './s3-bucket.ts'
import { findObjectCheck } from './s3-checksum.ts'
import { s3DirectAccess } from './s3-direct.ts'
import { isMissing, statusOf, unavailable } from './s3-failure.ts'
import { deleteKeys, listDirectory, listKeys } from './s3-listing.ts'
import {
  explained,
  fileKey,
  headVersion,
  isDirectory,
  type S3Root,
  versionOf,
} from './s3-object.ts'
import { DEFAULT_S3_OPTIONS, type S3Options } from './s3-options.ts'
import { objectTarget } from './s3-upload.ts'

/** Tries to read a range of a file that is replaced all the time. */
const OPEN_TRIES_MAX = 5

/**
 * A store below a prefix of a bucket. A file and a directory may have the same name there. The AWS
 * SDK is loaded, and its usual chain of credentials asked, with the first request.
 */
export function openS3Store(
  { bucket: name, segments: base }: S3Location,
  options: S3Options = DEFAULT_S3_OPTIONS,
): ArtifactStore {
  const open = bucketOpener(name, options)
  const openRoot = async (): Promise<S3Root> => ({ bucket: await open(), base })
  return {
    list: async (path) => list(await openRoot(), path),
    stat: async (path) => stat(await openRoot(), path),
    open: async (path, options = {}) => openArtifact(await openRoot(), path, options),
    delete: async (path) => deleteArtifact(await openRoot(), path),
    direct: s3DirectAccess(openRoot),

    async write(path, body, options = {}) {
      const root = await openRoot()
      const { bucket } = root
      const target = { bucket, key: fileKey(root, path), path, signal: options.signal }
      return await uploadInParts(objectTarget(target), body, options)
    },
  }
}

async function list(root: S3Root, path: ArtifactPath): Promise<ArtifactEntry[]> {
  const prefix = directoryPrefix(root.base, path)
  return objectEntries(path, await listDirectory(root.bucket, prefix))
}

async function stat(root: S3Root, path: ArtifactPath): Promise<ArtifactStat> {
  if (path.length === 0) return { kind: 'directory' }
  try {
    return { kind: 'file', ...(await headVersion(root, path)) }
  } catch (error) {
    if (isMissing(error) && (await isDirectory(root, path))) return { kind: 'directory' }
    throw await explained(root, path, error)
  }
}

async function openArtifact(
  root: S3Root,
  path: ArtifactPath,
  { range, ifRange }: OpenOptions,
): Promise<OpenArtifact> {
  if (path.length === 0) throw isADirectory(path)
  try {
    return range ? await openRange(root, path, range, ifRange) : await openWhole(root, path)
  } catch (error) {
    if (isMissing(error) && (await isDirectory(root, path))) throw isADirectory(path)
    throw await explained(root, path, error)
  }
}

async function openWhole(root: S3Root, path: ArtifactPath): Promise<OpenArtifact> {
  const stop = new AbortController()
  const answer = await getObject(root, path, {}, stop.signal)
  const version = versionOf(answer, answer.ContentLength)
  const whole = { start: 0, end: version.totalBytes - 1 }
  const check = findObjectCheck(root, path, answer)
  const body = download(root, path, version, { ...whole, stop, first: answer.body, check })
  return await checkedEarly({ ...version, sizeBytes: version.totalBytes, body }, check)
}

/** Not every S3 server knows ranges that count from the end, so the size is asked for first. */
async function openRange(
  root: S3Root,
  path: ArtifactPath,
  wanted: ByteRange,
  ifRange: string | undefined,
  tries = OPEN_TRIES_MAX,
): Promise<OpenArtifact> {
  const version = await headVersion(root, path)
  if (ifRange !== undefined && ifRange !== version.etag) return await openWhole(root, path)
  const range = resolveRange(wanted, version.totalBytes)
  if (!range) return { ...version, sizeBytes: 0, range: 'unsatisfiable', body: Readable.from([]) }
  const stop = new AbortController()
  try {
    const first = await readFrom(root, path, version, range, stop.signal)
    const body = download(root, path, version, { ...range, stop, first })
    return { ...version, sizeBytes: range.end - range.start + 1, range, body }
  } catch (error) {
    if (statusOf(error) !== 412 || tries === 0) throw error
    return await openRange(root, path, wanted, ifRange, tries - 1)
  }
}

function download(
  root: S3Root,
  path: ArtifactPath,
  version: FileVersion,
  begun: ResolvedRange & { stop: AbortController; first: Readable; check?: BodyCheck | undefined },
): Readable {
  const { end, stop } = begun
  return resumableBody({
    ...begun,
    read: (start) => readFrom(root, path, version, { start, end }, stop.signal),
  })
}

/** Part of one version of a file; a 412 when there is another one by now. */
async function readFrom(
  root: S3Root,
  path: ArtifactPath,
  { etag }: FileVersion,
  { start, end }: ResolvedRange,
  signal: AbortSignal,
): Promise<Readable> {
  const wanted = { Range: `bytes=${start}-${end}`, IfMatch: etag }
  const answer = await getObject(root, path, wanted, signal)
  const isWanted = answer.ContentRange?.startsWith(`bytes ${start}-${end}/`) === true
  if (isWanted && quotedEtag(answer.ETag) === etag) return answer.body
  answer.body.destroy()
  throw unavailable(`The S3 server of 's3://${root.bucket.name}' did not give the range asked for`)
}

async function getObject(
  root: S3Root,
  path: ArtifactPath,
  wanted: { Range?: string; IfMatch?: string },
  abortSignal: AbortSignal,
) {
  const { sdk, client, base } = root.bucket
  const command = new sdk.GetObjectCommand({ ...base, Key: fileKey(root, path), ...wanted })
  const answer = await client.send(command, { abortSignal })
  invariant(answer.Body instanceof Readable, 'bodies are streams in Node')
  return { ...answer, body: answer.Body }
}

async function deleteArtifact(root: S3Root, path: ArtifactPath): Promise<void> {
  for await (const keys of listKeys(root.bucket, directoryPrefix(root.base, path))) {
    await deleteKeys(root.bucket, keys)
  }
  if (path.length > 0) await deleteKeys(root.bucket, [fileKey(root, path)])
}
