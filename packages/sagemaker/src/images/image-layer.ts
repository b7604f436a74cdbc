import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { copyFile, link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { Header, type HeaderData, Pax } from 'tar'

/** One thing that a layer puts into an image; `path` is relative to the root, without a slash in front. */
export type LayerEntry = { path: string; uid?: number } & (
  | { kind: 'directory'; mode?: number }
  | { kind: 'file'; mode: number; bytes: Buffer }
  | { kind: 'file'; mode: number; source: string; size: number }
  | { kind: 'link'; target: string }
)

/** A layer that lies in a blob folder. */
export interface Layer {
  digest: string
  /** Bytes as they are pushed and pulled, compressed. */
  size: number
  /** Digest of the tar archive before it was compressed. */
  diffId: string
}

export const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip'

const BLOCK = 512
const COMPRESSION_LEVEL = 6

/**
 * Writes a layer into `blobs`. The same entries give the same digest whoever writes them, when,
 * and in which order: entries are sorted, owned by root and dated 1970, unless they say otherwise.
 */
export async function writeLayer(entries: LayerEntry[], blobs: string): Promise<Layer> {
  await mkdir(blobs, { recursive: true })
  const unfinished = join(blobs, `.layer-${process.pid}-${Math.random().toString(36).slice(2)}`)
  const archive = createHash('sha256')
  const compressed = createHash('sha256')
  let size = 0
  try {
    await pipeline(
      Readable.from(tarOf(withDirectories(entries)), { objectMode: false }),
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          archive.update(chunk)
          yield chunk
        }
      },
      createGzip({ level: COMPRESSION_LEVEL }),
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          compressed.update(chunk)
          size += chunk.length
          yield chunk
        }
      },
      createWriteStream(unfinished),
    )
    const hex = compressed.digest('hex')
    await rename(unfinished, join(blobs, hex))
    return { digest: `sha256:${hex}`, size, diffId: `sha256:${archive.digest('hex')}` }
  } finally {
    await rm(unfinished, { force: true })
  }
}

/**
 * {@link writeLayer}, but a layer of the same contents that `cache` holds is taken from there:
 * compressing a Node binary takes ten seconds, and looking at it a tenth of one.
 */
export async function writeCachedLayer(
  entries: LayerEntry[],
  blobs: string,
  cache: string,
): Promise<Layer> {
  const record = join(cache, `${await contentKey(entries)}.json`)
  const known = await readFile(record, 'utf8').then(
    (text) => JSON.parse(text) as Layer,
    () => undefined,
  )
  await mkdir(blobs, { recursive: true })
  if (known && (await copyBlob(cache, blobs, known.digest))) return known
  const layer = await writeLayer(entries, cache)
  await copyBlob(cache, blobs, layer.digest)
  await writeFile(record, JSON.stringify(layer))
  return layer
}

/** Puts a blob of one folder into another, by a link where that works; false when it is not there. */
export async function copyBlob(from: string, to: string, digest: string): Promise<boolean> {
  const hex = digest.replace('sha256:', '')
  await mkdir(to, { recursive: true })
  try {
    await link(join(from, hex), join(to, hex))
    return true
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EEXIST') return true
    if (code === 'ENOENT') return false
    await copyFile(join(from, hex), join(to, hex))
    return true
  }
}

async function contentKey(entries: LayerEntry[]): Promise<string> {
  const key = createHash('sha256').update(
    `level ${COMPRESSION_LEVEL} zlib ${process.versions.zlib}`,
  )
  for (const entry of withDirectories(entries)) {
    key.update(`\n${JSON.stringify(headerOf(entry))}\n`)
    if (entry.kind !== 'file') continue
    if ('bytes' in entry) key.update(entry.bytes)
    else for await (const chunk of createReadStream(entry.source)) key.update(chunk as Buffer)
  }
  return key.digest('hex')
}

/** The entries with the directories that they lie in, sorted by path; the last of two equal paths wins. */
function withDirectories(entries: LayerEntry[]): LayerEntry[] {
  const byPath = new Map<string, LayerEntry>()
  for (const entry of entries) {
    for (let path = dirname(entry.path); path !== '.'; path = dirname(path)) {
      if (!byPath.has(path)) byPath.set(path, { kind: 'directory', path })
    }
    byPath.set(entry.path, entry)
  }
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
}

async function* tarOf(entries: LayerEntry[]): AsyncGenerator<Buffer> {
  for (const entry of entries) {
    const described = headerOf(entry)
    const header = new Header(described)
    header.encode()
    if (header.needPax && described.path) {
      const { path, linkpath } = described
      yield new Pax(linkpath === undefined ? { path } : { path, linkpath }).encode()
    }
    yield header.block ?? Buffer.alloc(0)
    if (entry.kind !== 'file') continue
    if ('bytes' in entry) yield entry.bytes
    else yield* createReadStream(entry.source, { highWaterMark: 1 << 20 })
    const rest = (described.size ?? 0) % BLOCK
    if (rest > 0) yield Buffer.alloc(BLOCK - rest)
  }
  yield Buffer.alloc(2 * BLOCK)
}

function headerOf(entry: LayerEntry): HeaderData {
  const owner = { uid: entry.uid ?? 0, gid: entry.uid ?? 0, mtime: new Date(0) }
  const path = posix.normalize(entry.path)
  if (entry.kind === 'directory') {
    return { ...owner, path: `${path}/`, mode: entry.mode ?? 0o755, size: 0, type: 'Directory' }
  }
  if (entry.kind === 'link') {
    return { ...owner, path, mode: 0o777, size: 0, type: 'SymbolicLink', linkpath: entry.target }
  }
  const size = 'bytes' in entry ? entry.bytes.length : entry.size
  return { ...owner, path, mode: entry.mode, size, type: 'File' }
}
