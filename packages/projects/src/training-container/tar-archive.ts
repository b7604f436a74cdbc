import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { ApiError, invalid } from '@millrace/api/errors'

const BLOCK = 512
const ENTRIES_MAX = 100_000
const BYTES_MAX = 4 * 2 ** 30
const EXTENSION_BYTES_MAX = 2 ** 20
const DEPTH_MAX = 64

/**
 * Unpacks a tar file, gzipped or not, into an existing directory: files and directories only, none
 * outside of it, none twice.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming the member that is refused
 */
export async function unpackTar(path: string, directory: string): Promise<void> {
  const file = createReadStream(path)
  const [first] = await Array.fromAsync(createReadStream(path, { start: 0, end: 1 }))
  const isGzip = Buffer.isBuffer(first) && first[0] === 0x1f && first[1] === 0x8b
  const source = isGzip ? file.pipe(createGunzip()) : file
  // An error of the file itself ends the gunzip that it is piped into.
  file.once('error', (error) => source.destroy(error))
  const reader = blockReader(source)
  try {
    await unpackMembers(reader, directory)
  } catch (error) {
    if (error instanceof ApiError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw invalid(`${path} cannot be unpacked: ${reason}`)
  } finally {
    file.destroy()
    source.destroy()
  }
}

async function unpackMembers(reader: BlockReader, directory: string): Promise<void> {
  let bytes = 0
  let extended: { path?: string; size?: number } = {}
  for (let entries = 0; ; entries += 1) {
    const header = await reader.take(BLOCK)
    if (header === undefined || header.every((byte) => byte === 0)) return
    const type = String.fromCharCode(header[156] ?? 0)
    const size = extended.size ?? numberAt(header, 124, 12)
    if (type === 'x' || type === 'g' || type === 'L') {
      const text = await extension(reader, size)
      if (type === 'L') extended.path = text.replace(/\0.*$/s, '')
      if (type === 'x') extended = { ...extended, ...paxOf(text) }
      continue
    }
    const name = extended.path ?? nameIn(header)
    extended = {}
    bytes += size
    if (entries > ENTRIES_MAX || bytes > BYTES_MAX) {
      throw invalid(`The archive is too large: ${ENTRIES_MAX} files and ${BYTES_MAX} bytes may be.`)
    }
    const target = targetOf(directory, name)
    if (type === '5') await mkdir(target, { recursive: true, mode: 0o755 })
    else if (type === '0' || type === '\0' || type === '7') {
      await mkdir(dirname(target), { recursive: true, mode: 0o755 })
      const mode = numberAt(header, 100, 8) & 0o100 ? 0o755 : 0o644
      const file = createWriteStream(target, { flags: 'wx', mode })
      await pipeline(Readable.from(reader.contents(size)), file)
    } else throw invalid(`Tar member ${name} is a link or a device, which code may not have.`)
  }
}

function targetOf(directory: string, name: string): string {
  const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.')
  const isOutside = name.startsWith('/') || segments.includes('..') || /\p{Cc}/u.test(name)
  if (isOutside || segments.length > DEPTH_MAX) {
    throw invalid(`Tar member ${name} attempts path traversal`)
  }
  return join(directory, ...segments)
}

function nameIn(header: Buffer): string {
  const isUstar = header.toString('latin1', 257, 262) === 'ustar'
  const prefix = isUstar && header[262] === 0 ? textAt(header, 345, 155) : ''
  const name = textAt(header, 0, 100)
  return prefix ? `${prefix}/${name}` : name
}

function textAt(header: Buffer, from: number, length: number): string {
  return header.toString('utf8', from, from + length).replace(/\0.*$/s, '')
}

function numberAt(header: Buffer, from: number, length: number): number {
  const isBinary = ((header[from] ?? 0) & 0x80) !== 0
  if (isBinary) return Number(header.readBigUInt64BE(from + length - 8))
  const number = Number.parseInt(textAt(header, from, length).trim() || '0', 8)
  if (Number.isSafeInteger(number)) return number
  throw new Error('it is no tar file')
}

async function extension(reader: BlockReader, size: number): Promise<string> {
  if (size > EXTENSION_BYTES_MAX) throw invalid('The archive has a header that is too long.')
  return Buffer.concat(await Array.fromAsync(reader.contents(size))).toString('utf8')
}

function paxOf(text: string): { path?: string; size?: number } {
  const records = [...text.matchAll(/\d+ ([^=]+)=([^\n]*)\n/g)]
  const value = (name: string) => records.findLast(([, key]) => key === name)?.[2]
  const [path, size] = [value('path'), value('size')]
  return { ...(path !== undefined && { path }), ...(size !== undefined && { size: Number(size) }) }
}

interface BlockReader {
  /** Undefined at the end. */
  take: (length: number) => Promise<Buffer | undefined>
  /** The bytes of a member; what pads them to a block is skipped. */
  contents: (size: number) => AsyncGenerator<Buffer>
}

function blockReader(source: Readable): BlockReader {
  const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let rest: Buffer = Buffer.alloc(0)
  const more = async () => {
    const { value, done } = await chunks.next()
    if (!done) rest = rest.length === 0 ? value : Buffer.concat([rest, value])
    return !done
  }
  const take = async (length: number) => {
    while (rest.length < length) {
      if (await more()) continue
      if (rest.length === 0) return undefined
      throw new Error('it ends too early')
    }
    const taken = rest.subarray(0, length)
    rest = rest.subarray(length)
    return taken
  }
  return {
    take,
    async *contents(size) {
      for (let left = size; left > 0; ) {
        if (rest.length === 0 && !(await more())) throw new Error('it ends too early')
        const part = rest.subarray(0, left)
        rest = rest.subarray(part.length)
        left -= part.length
        yield part
      }
      await take((BLOCK - (size % BLOCK)) % BLOCK)
    },
  }
}
