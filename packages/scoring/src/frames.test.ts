import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Frame, FrameReader, frameHead } from './frames.ts'

function encode({ header, body }: Frame): Buffer {
  return Buffer.concat([frameHead(header, body.length), body])
}

test('frames come out as they went in, however the bytes are cut', () => {
  const frame = fc.record({
    header: fc.record({ id: fc.integer(), type: fc.string() }),
    body: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  })
  fc.assert(
    fc.property(fc.array(frame), fc.array(fc.integer({ min: 1, max: 50 })), (frames, cuts) => {
      let rest = Buffer.concat(frames.map(encode))
      const reader = new FrameReader()
      const received: Frame[] = []
      for (const cut of [...cuts, rest.length]) {
        received.push(...reader.push(rest.subarray(0, cut)))
        rest = rest.subarray(cut)
      }

      expect(received).toEqual(frames)
    }),
  )
})

test('a frame is two big-endian lengths, a JSON header and a body', () => {
  const bytes = encode({ header: { id: 7 }, body: Buffer.from('abc') })

  expect(bytes.toString('latin1')).toBe('\0\0\0\x08\0\0\0\x03{"id":7}abc')
})

test.each([
  ['text in place of lengths', Buffer.from('print("hello")')],
  ['a header that is not JSON', Buffer.from('\0\0\0\x02\0\0\0\0{x', 'latin1')],
  ['a header that is no object', Buffer.from('\0\0\0\x04\0\0\0\0null', 'latin1')],
])('refuses %s', (_what, bytes) => {
  expect(() => new FrameReader().push(bytes)).toThrow()
})
