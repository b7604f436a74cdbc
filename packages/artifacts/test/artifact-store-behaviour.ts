import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  type ArtifactPath,
  findArtifactPath,
  formatArtifactPath,
  joinArtifactPaths,
  parseArtifactPath,
} from '../src/artifact-path.ts'
import type { ArtifactStore } from '../src/artifact-store.ts'
import type { ByteRange, ResolvedRange } from '../src/byte-range.ts'

const MIB = 1024 * 1024
const at = parseArtifactPath
const root = at('')

/** Of the servers behind some stores not everything can be asked. */
export interface BehaviourLimits {
  /** False for a server that writes into the file that others are reading. */
  replacesAtomically?: boolean
  /** False for a server that takes the range of the first byte for the whole file. */
  knowsFirstByte?: boolean
  /** What is streamed to measure memory. */
  streamedMib?: number
  /** By how much resident memory may grow meanwhile. */
  memoryMib?: number
}

/** What every store promises, as tests; `openEmptyStore` gives each test a store of its own. */
export function describeArtifactStore(
  name: string,
  openEmptyStore: () => Promise<ArtifactStore>,
  {
    replacesAtomically = true,
    knowsFirstByte = true,
    streamedMib = 256,
    memoryMib = 96,
  }: BehaviourLimits = {},
) {
  describe(name, () => {
    let store: ArtifactStore
    beforeEach(async () => {
      store = await openEmptyStore()
    })

    const write = (path: string, content: string) => store.write(at(path), chunks(content))
    const read = async (path: string) => text((await store.open(at(path))).body)
    const list = async (path: ArtifactPath = root) =>
      (await store.list(path)).map(({ path }) => formatArtifactPath(path))

    test('gives back what was written, with its size and SHA-256', async () => {
      const written = await write('a/b.txt', 'abc')

      expect(written).toEqual({
        sizeBytes: 3,
        sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
      })
      expect(await read('a/b.txt')).toBe('abc')
      expect(await store.stat(at('a/b.txt'))).toMatchObject({ kind: 'file', totalBytes: 3 })
    })

    test('stores an empty file', async () => {
      await write('empty', '')

      expect(await read('empty')).toBe('')
      expect(await store.list(root)).toEqual([{ kind: 'file', path: ['empty'], sizeBytes: 0 }])
    })

    test('keeps odd names exactly', async () => {
      const names = ['a b', 'a+b', '100%.txt', 'a%20b', 'a%2520b', 'a b%2fc', '%', '?', 'a;b=c&d']
      const more = [
        '日本語',
        'é',
        'e\u0301',
        '😀',
        '-rf',
        '~',
        '$HOME',
        '*',
        '\'"',
        '...',
        ' ',
        'x.',
        ':',
      ]
      for (const name of [...names, ...more]) await write(`dir/${name}`, name)

      expect(new Set(await list(at('dir')))).toEqual(
        new Set([...names, ...more].map((name) => `dir/${name}`)),
      )
      for (const name of [...names, ...more]) expect(await read(`dir/${name}`)).toBe(name)
    })

    test('keeps any name a path can have', async () => {
      const name = fc
        .string({ unit: 'grapheme' })
        .filter((text) => findArtifactPath(text)?.length === 1)
      await fc.assert(
        fc.asyncProperty(name, async (name) => {
          const directory = at('any')
          const path = joinArtifactPaths(directory, at(name))
          await store.write(path, chunks(name))
          expect(await text((await store.open(path)).body)).toBe(name)
          expect(await store.list(directory)).toContainEqual(expect.objectContaining({ path }))
          await store.delete(directory)
        }),
        { numRuns: 30 },
      )
    })

    test('lists one level, in code point order, with the sizes of files', async () => {
      for (const path of ['d/x', 'd/e/y', 'B', 'a', 'é', '\u{ff5e}', '😀']) await write(path, path)

      expect(await list()).toEqual(['B', 'a', 'd', 'é', '\u{ff5e}', '😀'])
      expect(await store.list(at('d'))).toEqual([
        { kind: 'directory', path: ['d', 'e'] },
        { kind: 'file', path: ['d', 'x'], sizeBytes: 3 },
      ])
    })

    test('lists nothing for a file, for what is missing and for an empty root', async () => {
      expect(await list()).toEqual([])
      await write('a', 'x')

      expect(await list(at('a'))).toEqual([])
      expect(await list(at('a/b'))).toEqual([])
      expect(await list(at('b'))).toEqual([])
    })

    test.each(['a', 'file/below', 'dir/missing'])('does not find %s', async (path) => {
      await write('file', 'x')
      await write('dir/x', 'x')
      const missing = { code: 'RESOURCE_DOES_NOT_EXIST', message: `No such artifact: '${path}'` }

      await expect(store.stat(at(path))).rejects.toMatchObject(missing)
      await expect(store.open(at(path))).rejects.toMatchObject(missing)
    })

    test('tells directories from files', async () => {
      await write('d/x', 'x')
      const refused = {
        code: 'INVALID_PARAMETER_VALUE',
        message: "Artifact path refers to a directory, not a file: 'd'",
      }

      expect(await store.stat(at('d'))).toEqual({ kind: 'directory' })
      expect(await store.stat(root)).toEqual({ kind: 'directory' })
      await expect(store.open(at('d'))).rejects.toMatchObject(refused)
      await expect(store.open(root)).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' })
      await expect(store.write(root, chunks('x'))).rejects.toMatchObject({
        code: 'INVALID_PARAMETER_VALUE',
      })
    })

    const firstByte: [ByteRange, string, ResolvedRange] = [
      { start: 0, end: 0 },
      '0',
      { start: 0, end: 0 },
    ]
    test.each<[ByteRange, string, ResolvedRange | 'unsatisfiable']>([
      ...(knowsFirstByte ? [firstByte] : []),
      [{ start: 0, end: 1 }, '01', { start: 0, end: 1 }],
      [{ start: 2, end: 4 }, '234', { start: 2, end: 4 }],
      [{ start: 7 }, '789', { start: 7, end: 9 }],
      [{ start: 7, end: 99 }, '789', { start: 7, end: 9 }],
      [{ lastBytes: 2 }, '89', { start: 8, end: 9 }],
      [{ start: 10 }, '', 'unsatisfiable'],
    ])('opens the range %j', async (range, content, covered) => {
      await write('digits', '0123456789')

      const opened = await store.open(at('digits'), { range })

      expect(opened).toMatchObject({ range: covered, sizeBytes: content.length, totalBytes: 10 })
      expect(await text(opened.body)).toBe(content)
    })

    test('honours a range only for the version the reader has', async () => {
      await write('a', 'first')
      const { etag } = await store.open(at('a')).then(drained)
      const options = { range: { start: 1, end: 2 }, ifRange: etag }
      expect(await text((await store.open(at('a'), options)).body)).toBe('ir')

      await write('a', 'other')
      const opened = await store.open(at('a'), options)

      expect(opened.range).toBeUndefined()
      expect(await text(opened.body)).toBe('other')
    })

    test('gives a version one quoted ETag and the next another', async () => {
      await write('a', 'first')
      const first = await store.open(at('a')).then(drained)
      expect(first.etag).toMatch(/^"[^"]+"$/)
      expect(Math.abs(first.lastModified.getTime() - Date.now())).toBeLessThan(60_000)
      const { etag, lastModified, totalBytes } = first
      expect(await store.stat(at('a'))).toEqual({ kind: 'file', etag, lastModified, totalBytes })

      await write('a', 'other')

      expect((await store.stat(at('a'))) as object).not.toMatchObject({ etag })
    })

    if (replacesAtomically) {
      test('keeps giving a reader the version it opened', async () => {
        const long = 'x'.repeat(4 * MIB)
        await write('a', long)
        const { body } = await store.open(at('a'))
        const iterator = body.iterator()
        const first = Buffer.from((await iterator.next()).value)

        await write('a', 'new')

        const rest = await buffer(Readable.from(iterator))
        expect(Buffer.concat([first, rest]).toString() === long).toBe(true)
        expect(await read('a')).toBe('new')
      })

      test('shows readers the old or the new file, whole, under concurrent writes', async () => {
        const versions = ['a', 'b', 'c'].map((char) => char.repeat(MIB + 1))
        await write('f', versions[0] ?? '')

        const writing = Promise.all(versions.map((version) => write('f', version)))
        const reads = await Promise.all(Array.from({ length: 30 }, () => read('f')))
        await writing

        for (const content of [...reads, await read('f')]) {
          expect(versions.includes(content)).toBe(true)
        }
        expect(await list()).toEqual(['f'])
      })
    }

    test('leaves the old file, and nothing else, when the body fails', async () => {
      await write('old', 'old')
      async function* failing() {
        yield Buffer.alloc(MIB)
        await setImmediate()
        throw new Error('connection reset')
      }

      await expect(store.write(at('old'), failing())).rejects.toThrow('connection reset')
      await expect(store.write(at('d/new'), failing())).rejects.toThrow('connection reset')

      expect(await read('old')).toBe('old')
      expect(await list()).toEqual(['old'])
    })

    test('stops an upload that is aborted, even while it waits for its body', async () => {
      const abort = new AbortController()
      const waiting = Promise.withResolvers<void>()
      const content = ['chunk']
      const stalled = new Readable({
        highWaterMark: 1,
        read() {
          if (content.length > 0) this.push(content.pop())
          else waiting.resolve()
        },
      })

      const writing = store.write(at('a'), stalled, { signal: abort.signal })
      await waiting.promise
      await setImmediate()
      abort.abort()

      await expect(writing).rejects.toMatchObject({ name: 'AbortError' })
      expect(await list()).toEqual([])
    })

    test('stops an endless body that is no stream at the chunk after the abort', async () => {
      const abort = new AbortController()
      async function* endless() {
        for (let index = 0; ; index++) {
          yield Buffer.from('chunk')
          if (index === 3) abort.abort()
        }
      }

      const writing = store.write(at('a'), endless(), { signal: abort.signal })

      await expect(writing).rejects.toMatchObject({ name: 'AbortError' })
      expect(await list()).toEqual([])
    })

    test('refuses a body beyond the limit and leaves its stream open', async () => {
      const exact = await store.write(at('a'), chunks('12345'), { sizeMaxBytes: 5 })
      const body = Readable.from([Buffer.from('123'), Buffer.from('456'), Buffer.from('789')])

      const writing = store.write(at('b'), body, { sizeMaxBytes: 5 })

      await expect(writing).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' })
      expect(exact.sizeBytes).toBe(5)
      expect(body.destroyed).toBe(false)
      expect(await list()).toEqual(['a'])
    })

    test('deletes files and directories, and again without an error', async () => {
      for (const path of ['a/b/c', 'a/b/d', 'a/x', 'ab', 'file']) await write(path, path)

      for (const path of ['a/b', 'a/b', 'file', 'file', 'never', 'ab/below'])
        await store.delete(at(path))

      expect(await list(at('a'))).toEqual(['a/x'])
      expect(await read('ab')).toBe('ab')
      await store.delete(at('a'))
      expect(await list()).toEqual(['ab'])
    })

    test('deletes everything at the root, and takes new files after it', async () => {
      await write('a/b', 'x')
      await store.delete(root)
      expect(await list()).toEqual([])

      await write('a/b', 'y')

      expect(await read('a/b')).toBe('y')
    })

    test(`streams ${streamedMib} MiB up and down in constant memory`, {
      timeout: 300_000,
    }, async () => {
      // Collected before each sample: what counts is what the store holds on to.
      setFlagsFromString('--expose-gc')
      const collect: () => void = runInNewContext('gc')
      let [chunkCount, rssMax] = [0, 0]
      const sample = () => {
        if (chunkCount++ % 256 > 0) return
        collect()
        rssMax = Math.max(rssMax, process.memoryUsage.rss())
      }
      const hash = createHash('sha256')
      async function* body() {
        for (let index = 0; index < streamedMib * 16; index++) {
          const chunk = Buffer.alloc(65_536, index)
          hash.update(chunk)
          sample()
          yield chunk
        }
      }
      collect()
      const rssBefore = process.memoryUsage.rss()

      const written = await store.write(at('big'), body())
      const downloaded = createHash('sha256')
      for await (const chunk of (await store.open(at('big'))).body) {
        downloaded.update(chunk)
        sample()
      }

      const sha256 = hash.digest('hex')
      expect(written).toEqual({ sizeBytes: streamedMib * MIB, sha256 })
      expect(downloaded.digest('hex')).toBe(sha256)
      expect((rssMax - rssBefore) / MIB).toBeLessThan(memoryMib)
    })
  })
}

async function* chunks(content: string) {
  const bytes = Buffer.from(content)
  for (let start = 0; start < bytes.length; start += 65_536) {
    yield bytes.subarray(start, start + 65_536)
  }
}

async function drained<Opened extends { body: Readable }>(opened: Opened) {
  await buffer(opened.body)
  return opened
}
