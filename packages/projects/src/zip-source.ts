import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { ApiError, invalid } from '@millrace/api/errors'
import yauzl, { type Entry, type Options, type ZipFile } from 'yauzl'

export interface ZipLimits {
  entriesMax: number
  /** Of all files together, as they come out. */
  bytesMax: number
}

/** Larger ones are data, which a project names by a parameter. */
const PROJECT_ZIP_LIMITS: ZipLimits = { entriesMax: 100_000, bytesMax: 4 * 2 ** 30 }

const DEPTH_MAX = 64
const KIND = 0o170000
const DIRECTORY = 0o040000
const FILE = 0o100000

/**
 * Unpacks a zip file into an existing, empty directory: files and directories only, none outside of
 * it, none twice. On failure whoever made the directory removes it.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming the entry that is refused
 */
export async function unpackZip(
  path: string,
  directory: string,
  limits: ZipLimits = PROJECT_ZIP_LIMITS,
): Promise<void> {
  const zip = await openZip(path)
  let bytes = 0
  const count = (size: number) => {
    bytes += size
    if (bytes <= limits.bytesMax) return
    throw invalid(`${path} holds more than ${limits.bytesMax} bytes, which a project may not.`)
  }
  try {
    if (zip.entryCount > limits.entriesMax) {
      throw invalid(`${path} has ${zip.entryCount} entries, and ${limits.entriesMax} may be.`)
    }
    for await (const entry of entriesOf(zip)) await unpackEntry(zip, entry, directory, count)
  } catch (error) {
    if (error instanceof ApiError) throw error
    throw refusal(path, error)
  } finally {
    zip.close()
  }
}

const open = promisify<string, Options, ZipFile>(yauzl.open)

async function openZip(path: string): Promise<ZipFile> {
  try {
    return await open(path, { autoClose: false, lazyEntries: true, strictFileNames: true })
  } catch (error) {
    throw refusal(path, error)
  }
}

async function* entriesOf(zip: ZipFile): AsyncGenerator<Entry> {
  for (;;) {
    const { promise, resolve, reject } = Promise.withResolvers<Entry | undefined>()
    zip.once('entry', resolve).once('error', reject)
    zip.once('end', () => resolve(undefined))
    zip.readEntry()
    const entry = await promise
    zip.removeAllListeners()
    if (!entry) return
    yield entry
  }
}

async function unpackEntry(
  zip: ZipFile,
  entry: Entry,
  directory: string,
  count: (size: number) => void,
): Promise<void> {
  const name = entry.fileName
  const segments = name.replace(/\/$/, '').split('/')
  const isPlain = segments.every((segment) => segment !== '' && segment !== '.' && segment !== '..')
  if (!isPlain || segments.length > DEPTH_MAX || /\p{Cc}/u.test(name)) {
    throw invalid(`Zip file member ${name} attempts path traversal`)
  }
  const mode = entry.externalFileAttributes >>> 16
  const kind = mode & KIND || (name.endsWith('/') ? DIRECTORY : FILE)
  if (kind !== FILE && kind !== DIRECTORY) {
    throw invalid(`Zip file member ${name} is a link or a device, which a project may not have.`)
  }
  const target = join(directory, ...segments)
  if (name.endsWith('/')) {
    await mkdir(target, { recursive: true, mode: 0o700 })
    return
  }
  if (entry.isEncrypted()) throw invalid(`Zip file member ${name} is encrypted.`)
  await mkdir(dirname(target), { recursive: true, mode: 0o700 })
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      try {
        count(chunk.length)
        done(null, chunk)
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)))
      }
    },
  })
  // `wx`: a second entry of that name, or one through a file, fails.
  const file = createWriteStream(target, { flags: 'wx', mode: mode & 0o100 ? 0o700 : 0o600 })
  const contents = promisify<Entry, Readable>(zip.openReadStream.bind(zip))
  await pipeline(await contents(entry), counted, file)
}

function refusal(path: string, error: unknown) {
  const reason = error instanceof Error ? error.message : String(error)
  if (/^(?:invalid relative path|absolute path|invalid characters in fileName)/.test(reason)) {
    return invalid(`A member of ${path} attempts path traversal: ${reason}`)
  }
  return invalid(`${path} cannot be unpacked: ${reason}`)
}
