/*
 * The metric codec and the algorithms over points, by kind of value and by shape of request.
 * Prints bytes and nanoseconds a point: the best of several rounds, because what else runs on the
 * machine only ever adds. Run: node bench/codec.ts
 */
import {
  decodeBlock,
  encodeBlock,
  encodeOne,
  joinBlocks,
} from '../packages/server/src/metrics/block-codec.ts'
import { cutChunks, decodeChunk, encodeChunk } from '../packages/server/src/metrics/chunk-codec.ts'
import { sortAndDropEquals } from '../packages/server/src/metrics/point-order.ts'
import { type Points, PointsBuilder, pickPoints } from '../packages/server/src/metrics/points.ts'
import { bucketPoints, samplePoints } from '../packages/server/src/metrics/sampling.ts'
import { summarise } from '../packages/server/src/metrics/summary.ts'

const ROUNDS = 12

/** Numbers that are the same in every run of this script. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

const noise = random(1)

/** A loss that falls and trembles, as the codec's table of the design has it. */
const loss = (i: number) => 2 / (1 + i / 300) + 0.05 * noise()

const VALUES: Record<string, (i: number) => number> = {
  float32: (i) => Math.fround(loss(i)),
  float64: loss,
  '4 decimals': (i) => Math.round(loss(i) * 1e4) / 1e4,
  constant: () => 0.001,
}

/** `rounds` batches that log `keys` keys each, a training step every 250 ms or so. */
function batches(keys: number, rounds: number, value: (i: number) => number): Points {
  const builder = new PointsBuilder(keys * rounds)
  let timestamp = 1_700_000_000_000
  for (let round = 0; round < rounds; round++) {
    timestamp += 245 + Math.floor(10 * noise())
    for (let key = 1; key <= keys; key++) builder.add(key, round, timestamp, value(round))
  }
  return builder.points()
}

/** Nanoseconds a point of the best round. */
function time(points: number, work: () => unknown): number {
  let best = Number.POSITIVE_INFINITY
  const repeats = Math.max(1, Math.ceil(50_000 / points))
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint()
    for (let i = 0; i < repeats; i++) work()
    best = Math.min(best, Number(process.hrtime.bigint() - start) / repeats / points)
  }
  return best
}

function format(value: number): string {
  return value < 100 ? value.toFixed(1) : value.toFixed(0)
}

function printCodec(): void {
  console.log('One key, 1000 points')
  const sets = Object.entries(VALUES).map(
    ([name, value]) => [name, batches(1, 1000, value)] as const,
  )
  const rows: Record<string, Record<string, string>> = {}
  for (const [name, points] of sets) {
    const block = encodeBlock(points)
    const chunk = encodeChunk(points)
    rows[name] = {
      'block B/pt': format(block.length / points.n),
      'encode ns/pt': format(time(points.n, () => encodeBlock(points))),
      'decode ns/pt': format(time(points.n, () => decodeBlock(block))),
      'chunk B/pt': format(chunk.length / points.n),
      'seal ns/pt': format(time(points.n, () => encodeChunk(points))),
      'unseal ns/pt': format(time(points.n, () => decodeChunk(chunk))),
    }
  }
  rows.mix = mixOf(Object.values(rows))
  console.table(rows)
}

/** A run's metrics are a mix: the mean of the kinds. */
function mixOf(rows: Record<string, string>[]): Record<string, string> {
  const [first = {}] = rows
  return Object.fromEntries(
    Object.keys(first).map((column) => {
      const sum = rows.reduce((sum, row) => sum + Number(row[column]), 0)
      return [column, format(sum / rows.length)]
    }),
  )
}

/** The same points in no order. */
function shuffled(points: Points): Points {
  const next = random(7)
  const order = Uint32Array.from({ length: points.n }, (_, i) => i)
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1))
    const held = order[i] ?? 0
    order[i] = order[j] ?? 0
    order[j] = held
  }
  return pickPoints(points, order)
}

function printAlgorithms(): void {
  console.log('float32 values; a set of points as a run logs it (ns a point)')
  const rows: Record<string, Record<string, string>> = {}
  for (const [keys, rounds] of [
    [1000, 1],
    [100, 10],
    [1000, 20],
    [100, 200],
    [1, 50_000],
  ] as const) {
    const points = batches(keys, rounds, VALUES.float32 ?? loss)
    const sorted = sortAndDropEquals(points)
    const mixed = shuffled(points)
    const block = encodeBlock(points)
    const chunks = cutChunks(sorted).map(encodeChunk)
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    rows[`${keys} keys x ${rounds}`] = {
      encode: format(time(points.n, () => encodeBlock(points))),
      decode: format(time(points.n, () => decodeBlock(block))),
      'sort check': format(time(points.n, () => sortAndDropEquals(sorted))),
      'sort as logged': format(time(points.n, () => sortAndDropEquals(points))),
      'sort shuffled': format(time(points.n, () => sortAndDropEquals(mixed))),
      summarise: format(time(points.n, () => summarise(points))),
      'seal in all': format(
        time(points.n, () => cutChunks(sortAndDropEquals(decodeBlock(block))).map(encodeChunk)),
      ),
      unseal: format(
        time(points.n, () => {
          const builder = new PointsBuilder(points.n)
          for (const chunk of chunks) builder.append(decodeChunk(chunk))
        }),
      ),
      'block B/pt': format(block.length / points.n),
      'chunk B/pt': format(bytes / points.n),
    }
  }
  console.table(rows)
}

function printSingles(): void {
  const key = 17
  let step = 0
  const blocks = Array.from({ length: 64 }, (_, i) => encodeOne(key, i, 1.7e12 + i, loss(i)))
  const joined = joinBlocks(blocks)
  console.log('One point a request (ns)')
  console.table({
    encodeOne: format(time(1, () => encodeOne(key, step++, 1.7e12 + step, 0.1 + step))),
    'builder and encodeBlock': format(
      time(1, () => {
        const one = new PointsBuilder(1)
        one.add(key, step++, 1.7e12 + step, 0.1 + step)
        return encodeBlock(one.points())
      }),
    ),
    'join 64, each': format(time(64, () => joinBlocks(blocks))),
    'decode 64 joined, each': format(time(64, () => decodeBlock(joined))),
    'builder.add': format(
      time(1000, () => {
        const points = new PointsBuilder(1000)
        for (let i = 0; i < 1000; i++) points.add(i, 5, 1.7e12, 0.5)
      }),
    ),
    'bytes of one': blocks[63]?.length,
    'bytes of 64 joined': joined.length,
  })
}

function printCharts(): void {
  const series = batches(1, 1_000_000, VALUES.float32 ?? loss)
  console.log('One series of a million points (ms)')
  console.table({
    'sample 320': format(time(series.n, () => samplePoints(series, 320))),
    'bucket 1000': format(time(series.n, () => bucketPoints(series, 1000))),
    'sort check': format(time(series.n, () => sortAndDropEquals(series))),
  })
}

printCodec()
printAlgorithms()
printSingles()
printCharts()
