import { describe, expect, test } from 'vitest'
import { batchRecords, type SplitType, splitRecords } from './split-records.ts'

/** What is read in pieces of some bytes. */
async function* inPieces(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function split(bytes: Buffer, type: SplitType, bytesMax = 1_000, size = 3) {
  const records: Buffer[] = []
  for await (const record of splitRecords(inPieces(bytes, size), type, bytesMax)) {
    records.push(record)
  }
  return records
}

function recordIo(text: string): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32LE(0xced7230a, 0)
  head.writeUInt32LE(text.length, 4)
  return Buffer.concat([head, Buffer.from(text), Buffer.alloc((4 - (text.length % 4)) % 4)])
}

function tfRecord(text: string): Buffer {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, Buffer.alloc(4), Buffer.from(text), Buffer.alloc(4)])
}

describe('records', () => {
  test('are lines without their ends and without empty ones, however they come in', async () => {
    const records = await split(Buffer.from('one\r\ntwo\n\nthree'), 'Line')
    expect(records.map(String)).toEqual(['one', 'two', 'three'])
  })

  test.each([
    ['RecordIO', recordIo],
    ['TFRecord', tfRecord],
  ] as const)('of %s keep their frames', async (type, frame) => {
    const frames = [frame('first'), frame('second one')]
    expect(await split(Buffer.concat(frames), type)).toEqual(frames)
    await expect(split(Buffer.concat(frames).subarray(0, -1), type)).rejects.toThrow(
      `The input ends in the middle of a record of ${type}.`,
    )
  })

  test('that are larger than a request may be are refused', async () => {
    const megabyte = 2 ** 20
    const large = Buffer.alloc(megabyte + 1, 'a')
    await expect(split(large, 'Line', megabyte, 65_536)).rejects.toThrow(
      'A record is larger than MaxPayloadInMB (1 MB).',
    )
    await expect(split(large, 'None', megabyte, 65_536)).rejects.toThrow(
      'goes to the model as a whole: set SplitType',
    )
  })
})

test.each<[boolean, number, string | undefined, string[]]>([
  [false, 8, undefined, ['aaa\nbbb\n', 'ccc\n']],
  [false, 7, undefined, ['aaa\n', 'bbb\n', 'ccc\n']],
  [true, 100, undefined, ['aaa\n', 'bbb\n', 'ccc\n']],
  [false, 8, 'head', ['head\naaa\nbbb\n', 'head\nccc\n']],
])(
  'requests take as many records as fit (alone: %s, %d bytes, header %s)',
  async (isSingle, bytesMax, header, bodies) => {
    const records = splitRecords(inPieces(Buffer.from('aaa\nbbb\nccc\n'), 100), 'Line', 100)
    const found: string[] = []
    const options = {
      isSingle,
      bytesMax,
      header: header === undefined ? undefined : Buffer.from(header),
    }
    for await (const { body } of batchRecords(records, { ...options, splitType: 'Line' })) {
      found.push(body.toString())
    }
    expect(found).toEqual(bodies)
  },
)
