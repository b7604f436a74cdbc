import { constants, createWriteStream } from 'node:fs'
import { mkdir, open, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { invalid } from '@millrace/api/errors'
import type { StoredObject } from './object-entry.ts'
import { eachObject } from './object-listing.ts'
import type { ObjectStore } from './object-store.ts'
import { putObject, readObject } from './objects.ts'

/** A place in S3. */
export interface S3Location {
  bucket: string
  /** Without a leading slash; may be empty. */
  key: string
}

/** `s3://bucket/key`; refuses anything else with `INVALID_PARAMETER_VALUE`. */
export function parseS3Uri(uri: string): S3Location {
  const [, bucket, key = ''] = /^s3:\/\/([^/]+)(?:\/([\s\S]*))?$/.exec(uri) ?? []
  if (bucket === undefined) throw invalid(`'${uri}' is not an S3 URI such as s3://bucket/key`)
  return { bucket, key }
}

/** A file written by `downloadPrefix`. */
export interface DownloadedFile {
  key: string
  /** Below the directory, with forward slashes. */
  path: string
  sizeBytes: number
}

/**
 * Writes every object with a prefix into a directory, as SageMaker does for an `S3Prefix` channel:
 * `data/train` gives `data/train/a.csv` as `a.csv`, and the single object `data/train` as `train`.
 * Keys that end in a slash stand for folders and give no file. Refuses, before it writes anything,
 * a key that would leave the directory or that is both a file and a folder.
 */
export async function downloadPrefix(
  store: ObjectStore,
  { bucket, key: prefix }: S3Location,
  directory: string,
): Promise<DownloadedFile[]> {
  const files: DownloadedFile[] = []
  for (const { key, sizeBytes } of eachObject(store, bucket, prefix)) {
    if (key.endsWith('/')) continue
    files.push({ key, path: pathBelow(bucket, key, prefix), sizeBytes })
  }
  refuseFilesThatAreFolders(bucket, files)
  await mkdir(directory, { recursive: true })
  for (const { key, path } of files)
    await downloadObject(store, { bucket, key }, join(directory, path))
  return files
}

/** Writes one object to a new file, making its folders; EEXIST when the file is there. */
export async function downloadObject(
  store: ObjectStore,
  { bucket, key }: S3Location,
  file: string,
): Promise<StoredObject> {
  await mkdir(dirname(file), { recursive: true })
  const { object, body } = await readObject(store, { bucket, key })
  await pipeline(body, createWriteStream(file, { flags: 'wx' }))
  return object
}

/** Writes every regular file of a directory to `<key>/<path>`; links are left out. Gives the keys. */
export async function uploadDirectory(
  store: ObjectStore,
  directory: string,
  { bucket, key: prefix }: S3Location,
): Promise<string[]> {
  const keys: string[] = []
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    const path = file.slice(join(directory, '/').length).split('\\').join('/')
    const key = prefix === '' || prefix.endsWith('/') ? `${prefix}${path}` : `${prefix}/${path}`
    await uploadFile(store, file, { bucket, key })
    keys.push(key)
  }
  return keys.sort()
}

/** Writes one file as an object of at most 5 TiB. */
export async function uploadFile(
  store: ObjectStore,
  file: string,
  { bucket, key }: S3Location,
): Promise<StoredObject> {
  // A link at the last moment would have us read a file of this machine for a job.
  await using handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW)
  const body = handle.createReadStream({ highWaterMark: 256 * 1024, autoClose: false })
  return await putObject(store, { bucket, key, body, sizeMaxBytes: 5 * 1024 ** 4 })
}

function pathBelow(bucket: string, key: string, prefix: string): string {
  const folder = prefix.endsWith('/') || prefix === '' ? prefix : `${prefix}/`
  const start = key.startsWith(folder) ? folder.length : prefix.lastIndexOf('/') + 1
  const path = key.slice(start)
  const isUnsafe = path
    .split('/')
    .some((name) => ['', '.', '..'].includes(name) || /[\0\\]/.test(name))
  if (isUnsafe || Buffer.byteLength(path) > 4000) {
    throw invalid(`The object s3://${bucket}/${key} cannot be written as the file '${path}'`)
  }
  return path
}

function refuseFilesThatAreFolders(bucket: string, files: DownloadedFile[]): void {
  const paths = new Set(files.map(({ path }) => path))
  for (const { key, path } of files) {
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) {
      if (paths.has(folder)) {
        throw invalid(
          `'${folder}' would be a file and, because of s3://${bucket}/${key}, a folder as well`,
        )
      }
    }
  }
}
