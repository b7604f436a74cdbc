import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** A file of an archive: its path with slashes, and its length. */
export interface TarEntry {
  name: string
  size: number
}

const BLOCK_BYTES = 512
/** What eleven octal digits can say; longer files have their length in binary, as GNU tar has it. */
const OCTAL_SIZE_MAX = 8 ** 11

/** Every file below a folder, in the order of their names. */
export async function listFiles(folder: string): Promise<TarEntry[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
  return Promise.all(
    paths.map(async (path) => ({
      name: path.slice(folder.length + 1).replaceAll('\\', '/'),
      size: (await stat(path)).size,
    })),
  )
}

/** The length of the archive that `packFiles` makes. */
export function archiveSize(entries: readonly TarEntry[]): number {
  const bytes = entries.reduce((sum, { size }) => sum + BLOCK_BYTES + padded(size), 0)
  return bytes + 2 * BLOCK_BYTES
}

/**
 * Files of a folder as a tar archive, which every `tar` can read.
 *
 * @throws Error when a file has another length than its entry
 */
export async function* packFiles(
  folder: string,
  entries: readonly TarEntry[],
): AsyncGenerator<Buffer> {
  for (const entry of entries) {
    yield header(entry)
    let bytes = 0
    for await (const chunk of createReadStream(join(folder, entry.name)) as AsyncIterable<Buffer>) {
      bytes += chunk.length
      yield chunk
    }
    if (bytes !== entry.size) throw new Error(`${entry.name} changed while it was packed.`)
    yield Buffer.alloc(padded(bytes) - bytes)
  }
  yield Buffer.alloc(2 * BLOCK_BYTES)
}

function header({ name, size }: TarEntry): Buffer {
  if (Buffer.byteLength(name) > 100) throw new Error(`The name ${name} is too long for an archive.`)
  const block = Buffer.alloc(BLOCK_BYTES)
  block.write(name, 0)
  for (const [at, value] of [
    [100, '0000600'],
    [108, '0000000'],
    [116, '0000000'],
    [136, '00000000000'],
  ] as const) {
    block.write(value, at)
  }
  if (size < OCTAL_SIZE_MAX) block.write(size.toString(8).padStart(11, '0'), 124)
  else {
    block[124] = 0x80
    block.writeBigUInt64BE(BigInt(size), 128)
  }
  block.write('0', 156)
  block.write('ustar\0' + '00', 257)
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

/** The sum of all bytes, those of the sum itself counted as spaces. */
function checksum(block: Buffer): number {
  return block.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0)
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES
}

/**
 * Gives `take` every file of an archive, one after another, which must read it to its end.
 *
 * @throws Error when it is no archive, or ends too early
 */
export async function unpackFiles(
  archive: AsyncIterable<Buffer>,
  take: (entry: TarEntry, body: AsyncGenerator<Buffer>) => Promise<void>,
): Promise<void> {
  const reader = new BlockReader(archive)
  for (;;) {
    const block = await reader.read(BLOCK_BYTES)
    if (block.every((byte) => byte === 0)) return
    const entry = readHeader(block)
    await take(entry, reader.stream(entry.size))
    await reader.read(padded(entry.size) - entry.size)
  }
}

function readHeader(block: Buffer): TarEntry {
  const told = Number.parseInt(block.toString('latin1', 148, 154), 8)
  if (told !== checksum(block)) throw new Error('This is no tar archive, or it is damaged.')
  const end = block.indexOf(0)
  const isBinary = ((block[124] ?? 0) & 0x80) !== 0
  const size = isBinary
    ? Number(block.readBigUInt64BE(128))
    : Number.parseInt(block.toString('latin1', 124, 135), 8)
  return { name: block.toString('utf8', 0, Math.min(end, 100)), size }
}

class BlockReader {
  readonly #chunks: AsyncIterator<Buffer>
  #rest = Buffer.alloc(0)

  constructor(archive: AsyncIterable<Buffer>) {
    this.#chunks = archive[Symbol.asyncIterator]()
  }

  async read(bytes: number): Promise<Buffer> {
    return Buffer.concat(await Array.fromAsync(this.stream(bytes)))
  }

  async *stream(bytes: number): AsyncGenerator<Buffer> {
    for (let left = bytes; left > 0; ) {
      if (this.#rest.length === 0) {
        const next = await this.#chunks.next()
        if (next.done) throw new Error('The archive ends too early.')
        this.#rest = Buffer.from(next.value)
      }
      const piece = this.#rest.subarray(0, left)
      this.#rest = this.#rest.subarray(piece.length)
      left -= piece.length
      yield piece
    }
  }
}
