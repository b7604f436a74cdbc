import { crc32, deflateSync } from 'node:zlib'
import type { Random } from './demo-random.ts'

type Colour = readonly [red: number, green: number, blue: number]

/** A picture of 8-bit RGB pixels, from the top left. */
interface Picture {
  width: number
  height: number
  pixels: Uint8Array
}

/** A confusion matrix as a PNG: one square per pair of classes, darker where more was predicted. */
export function confusionMatrixPng(counts: readonly (readonly number[])[]): Uint8Array {
  const cell = 36
  const picture = createPicture(counts.length * cell, counts.length * cell)
  for (const [row, predicted] of counts.entries()) {
    const total = predicted.reduce((sum, count) => sum + count, 0) || 1
    for (const [column, count] of predicted.entries()) {
      const share = Math.sqrt(count / total)
      const colour: Colour = [247 - 235 * share, 251 - 160 * share, 252 - 110 * share]
      fillSquare(picture, { x: column * cell, y: row * cell, size: cell - 2 }, colour)
    }
  }
  return encodePng(picture)
}

/** A grid of small smooth blobs, as a generator of hand-written digits would paint them. */
export function sampleGridPng(random: Random, progress: number): Uint8Array {
  const tile = 28
  const scale = 2
  const tiles = 6
  const picture = createPicture(tiles * tile * scale, tiles * tile * scale)
  for (let index = 0; index < tiles * tiles; index++) {
    const stroke = createStroke(random)
    for (let y = 0; y < tile; y++) {
      for (let x = 0; x < tile; x++) {
        const ink = stroke(x / tile, y / tile) * progress + random.next() * (1 - progress) * 0.8
        const light = 255 * (1 - Math.min(1, ink))
        const left = ((index % tiles) * tile + x) * scale
        const top = (Math.floor(index / tiles) * tile + y) * scale
        fillSquare(picture, { x: left, y: top, size: scale }, [light, light, light])
      }
    }
  }
  return encodePng(picture)
}

/** Ink along a random arc, as a function of a place from 0 to 1. */
function createStroke(random: Random): (x: number, y: number) => number {
  const centre = { x: 0.4 + random.next() * 0.2, y: 0.4 + random.next() * 0.2 }
  const radius = 0.15 + random.next() * 0.18
  const from = random.next() * 2 * Math.PI
  const length = Math.PI * (0.6 + random.next() * 1.4)
  return (x, y) => {
    const angle = (Math.atan2(y - centre.y, x - centre.x) - from + 4 * Math.PI) % (2 * Math.PI)
    const distance = Math.abs(Math.hypot(x - centre.x, y - centre.y) - radius)
    return angle > length ? 0 : Math.max(0, 1 - distance / 0.055)
  }
}

function createPicture(width: number, height: number): Picture {
  return { width, height, pixels: new Uint8Array(width * height * 3).fill(255) }
}

function fillSquare(
  { width, pixels }: Picture,
  { x, y, size }: { x: number; y: number; size: number },
  [red, green, blue]: Colour,
): void {
  for (let row = y; row < y + size; row++) {
    for (let column = x; column < x + size; column++) {
      const at = (row * width + column) * 3
      pixels[at] = red
      pixels[at + 1] = green
      pixels[at + 2] = blue
    }
  }
}

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)
const RGB_8_BIT = [8, 2, 0, 0, 0] as const

function encodePng({ width, height, pixels }: Picture): Uint8Array {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set(RGB_8_BIT, 8)

  const stride = width * 3
  const rows = Buffer.alloc((stride + 1) * height)
  for (let row = 0; row < height; row++) {
    rows.set(pixels.subarray(row * stride, (row + 1) * stride), row * (stride + 1) + 1)
  }
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(type: string, content: Uint8Array): Uint8Array {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), content])
  const framed = Buffer.alloc(typed.length + 8)
  framed.writeUInt32BE(content.length, 0)
  framed.set(typed, 4)
  framed.writeUInt32BE(crc32(typed), typed.length + 4)
  return framed
}
