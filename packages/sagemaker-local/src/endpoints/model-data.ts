import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ApiError, invalid } from '@millrace/api/errors'
import { list } from 'tar'
import type { Container } from '../operations/model-input.ts'
import { unpackArchive } from '../runner/training/unpack-archive.ts'
import { findBucket } from '../s3/bucket-store.ts'
import { listObjects } from '../s3/object-listing.ts'
import type { ObjectStore } from '../s3/object-store.ts'
import { downloadPrefix, parseS3Uri } from '../s3/object-transfer.ts'
import { readObject } from '../s3/objects.ts'
import { S3Error } from '../s3/s3-error.ts'

/** Where the files of a model are in S3, and whether as one archive. */
interface ModelData {
  uri: string
  isArchive: boolean
  /** One object, and not all those with a prefix. */
  isObject: boolean
}

/** Where a container's model is; undefined for a container that brings its own. */
export function modelDataOf({ ModelDataUrl, ModelDataSource }: Container): ModelData | undefined {
  const source = ModelDataSource?.S3DataSource
  if (source) {
    const isArchive = source.CompressionType === 'Gzip'
    return { uri: source.S3Uri, isArchive, isObject: source.S3DataType === 'S3Object' }
  }
  if (ModelDataUrl === undefined || ModelDataUrl === '') return undefined
  const uri = ModelDataUrl.replace(
    /^https:\/\/s3[.-]?[a-z0-9-]*\.amazonaws\.com(?:\.cn)?\//,
    's3://',
  )
  return { uri, isArchive: true, isObject: true }
}

/**
 * Refuses model data that is not there.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE that names its address
 */
export function checkModelData(store: ObjectStore, container: Container): void {
  const data = modelDataOf(container)
  if (!data) return
  const { bucket, key } = parseS3Uri(data.uri)
  const isThere =
    findBucket(store, bucket) !== undefined &&
    listObjects(store, { bucket, prefix: key, limit: 1 }).objects.some(
      (object) => !data.isObject || object.key === key,
    )
  if (isThere) return
  throw invalid(
    `Could not find model data at ${data.uri}. Upload it there first: ` +
      (data.isArchive
        ? 'a model.tar.gz with the files of the model at its top.'
        : 'the files of the model under that prefix.'),
  )
}

/** Whether some file is among those of a model; an archive is read no further than to it. */
export async function hasModelFile(
  store: ObjectStore,
  container: Container,
  names: string[],
): Promise<boolean> {
  const data = modelDataOf(container)
  if (!data) return false
  const { bucket, key } = parseS3Uri(data.uri)
  if (!data.isArchive) {
    const folder = key.endsWith('/') || data.isObject ? key : `${key}/`
    return names.some((name) =>
      listObjects(store, { bucket, prefix: `${folder}${name}`, limit: 1 }).objects.some(
        (object) => object.key === `${folder}${name}`,
      ),
    )
  }
  const { body } = await readObject(store, { bucket, key })
  let isFound = false
  const reader = list({
    onReadEntry: (entry) => {
      if (names.includes(entry.path.replace(/^(\.\/)+/, ''))) isFound = true
    },
  })
  try {
    for await (const chunk of body) {
      reader.write(Buffer.from(chunk))
      if (isFound) return true
    }
    reader.end()
  } catch {
    // What cannot be read as an archive has no such file; unpacking it says why.
  }
  return isFound
}

/**
 * Writes the files of a model into a folder.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when they are not there, or cannot be unpacked
 */
export async function fetchModelData(
  store: ObjectStore,
  container: Container,
  folder: string,
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const data = modelDataOf(container)
  if (!data || (await readdir(folder)).length > 0) return
  const { bucket, key } = parseS3Uri(data.uri)
  const scratch = await mkdtemp(`${folder}-data-`)
  try {
    if (!data.isArchive && !data.isObject) {
      const prefix = key === '' || key.endsWith('/') ? key : `${key}/`
      const files = await downloadPrefix(store, { bucket, key: prefix }, folder)
      if (files.length === 0) throw invalid(`There is nothing below ${data.uri}.`)
      return
    }
    const file = join(data.isArchive ? scratch : folder, basename(key) || 'model.tar.gz')
    const { body } = await readObject(store, { bucket, key })
    await pipeline(body, createWriteStream(file, { flags: 'wx' }))
    if (data.isArchive) await unpackArchive(file, folder, data.uri)
  } catch (cause) {
    if (!(cause instanceof S3Error)) throw cause
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `Failed to download model data from ${data.uri}: ${cause.message}`,
    )
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
