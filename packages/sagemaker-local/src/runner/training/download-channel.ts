import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, readdir, rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { invalid } from '@millrace/api/errors'
import { z } from 'zod'
import type { Channel } from '../../operations/training-job-input.ts'
import { eachObject } from '../../s3/object-listing.ts'
import type { ObjectStore } from '../../s3/object-store.ts'
import { downloadObject, downloadPrefix, parseS3Uri } from '../../s3/object-transfer.ts'
import { readObjectBytes } from '../../s3/objects.ts'

const MANIFEST_BYTES_MAX = 64 * 2 ** 20

/** Which part of a channel one of several instances gets. */
export interface Shard {
  index: number
  count: number
}

/**
 * Writes what a channel names into a folder, by SageMaker's rule of names: what follows the prefix as
 * a folder, else the last part of the key.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when there is nothing, or nothing that can be written
 */
export async function downloadChannel(
  store: ObjectStore,
  channel: Channel,
  directory: string,
  shard: Shard,
): Promise<void> {
  await mkdir(directory, { recursive: true })
  const { S3DataSource: source } = channel.DataSource
  if (!source) {
    throw invalid(
      `The channel ${channel.ChannelName} has no S3DataSource; file systems of AWS are not served here.`,
    )
  }
  const isSharded = source.S3DataDistributionType === 'ShardedByS3Key' && shard.count > 1
  if (source.S3DataType === 'S3Prefix' && !isSharded) {
    const files = await downloadPrefix(store, parseS3Uri(source.S3Uri), directory)
    if (files.length === 0) throw nothingAt(source.S3Uri)
  } else {
    const names = (await listNames(store, source)).filter(
      (_name, index) => !isSharded || index % shard.count === shard.index,
    )
    for (const { key, bucket, path } of names) {
      await downloadObject(store, { bucket, key }, join(directory, path))
    }
  }
  if (channel.CompressionType === 'Gzip') await unzipFiles(directory)
}

/** An object, and the name of its file below the place that a client has named. */
export interface NamedObject {
  bucket: string
  key: string
  path: string
}

type Source = NonNullable<Channel['DataSource']['S3DataSource']>

/**
 * The objects that an S3 data source stands for: those with a prefix, or those of a manifest.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for a manifest that is none, or a key that is no file name
 */
export async function listNames(store: ObjectStore, source: Source): Promise<NamedObject[]> {
  const { bucket, key: prefix } = parseS3Uri(source.S3Uri)
  if (source.S3DataType === 'S3Prefix') {
    const folder = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`
    return [...eachObject(store, bucket, prefix)]
      .filter(({ key }) => !key.endsWith('/'))
      .map(({ key }) => ({
        bucket,
        key,
        path: checkedPath(key.startsWith(folder) ? key.slice(folder.length) : basename(key)),
      }))
  }
  if (source.S3DataType !== 'ManifestFile') {
    throw invalid(`The S3DataType ${source.S3DataType} is not served here.`)
  }
  const text = await readObjectBytes(store, {
    bucket,
    key: prefix,
    sizeMaxBytes: MANIFEST_BYTES_MAX,
  })
  const [head, ...keys] = parseManifest(text.toString('utf8'), source.S3Uri)
  const start = parseS3Uri(head.prefix)
  return keys.map((key) => ({
    bucket: start.bucket,
    key: `${start.key}${key}`,
    path: checkedPath(key),
  }))
}

const Manifest = z.tuple([z.object({ prefix: z.string() })], z.string())

function parseManifest(text: string, uri: string) {
  try {
    return Manifest.parse(JSON.parse(text))
  } catch (cause) {
    throw invalid(`${uri} is no manifest, a JSON list that begins with {"prefix": ...}: ${cause}`)
  }
}

function checkedPath(path: string): string {
  if (path.split('/').some((part) => ['', '.', '..'].includes(part)) || /[\0\\]/.test(path)) {
    throw invalid(`The key '${path}' cannot be written as a file.`)
  }
  return path
}

/** Nothing at an S3 URI, in the words of CreateTrainingJob. */
export function nothingAt(uri: string) {
  return invalid(
    `No S3 objects found under S3 URL "${uri}" given in input data source. Please ensure that the ` +
      'bucket exists and that objects exist under that S3 prefix.',
  )
}

async function unzipFiles(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    try {
      await pipeline(createReadStream(file), createGunzip(), createWriteStream(`${file}.unzipped`))
    } catch (cause) {
      throw invalid(
        `${entry.name} is not compressed by gzip, as the channel says: ${String(cause)}`,
      )
    }
    await rename(`${file}.unzipped`, file)
  }
}
