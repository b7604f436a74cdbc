import { crc32, deflateRawSync } from 'node:zlib'

/** One entry of a zip file; a mode is that of Unix with the kind of file in it. */
export interface ZipEntry {
  name: string
  text: string
  mode?: number
}

/** A zip file with exactly these entries, including such as no careful program would write. */
export function zipOf(entries: ZipEntry[]): Buffer {
  const locals: Buffer[] = []
  const central: Buffer[] = []
  let offset = 0
  for (const { name, text, mode = 0 } of entries) {
    const nameBytes = Buffer.from(name)
    const packed = deflateRawSync(text)
    const sizes = Buffer.alloc(14)
    sizes.writeUInt32LE(crc32(text), 0)
    sizes.writeUInt32LE(packed.length, 4)
    sizes.writeUInt32LE(Buffer.byteLength(text), 8)
    sizes.writeUInt16LE(nameBytes.length, 12)
    const rest = Buffer.concat([uint16(20, 0x800, 8, 0, 0), sizes])
    const local = Buffer.concat([uint32(0x04034b50), rest, uint16(0), nameBytes, packed])
    central.push(
      Buffer.concat([
        uint32(0x02014b50),
        uint16(0x31e),
        rest,
        uint16(0, 0, 0, 0),
        uint32(mode * 65_536, offset),
        nameBytes,
      ]),
    )
    locals.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(central)
  const count = entries.length
  const end = [uint32(0x06054b50), uint16(0, 0, count, count), uint32(directory.length, offset)]
  return Buffer.concat([...locals, directory, ...end, uint16(0)])
}

function uint16(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2)
  for (const [i, value] of values.entries()) bytes.writeUInt16LE(value, i * 2)
  return bytes
}

function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value, i * 4)
  return bytes
}
