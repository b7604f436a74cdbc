import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createBucket, deleteBucket, listBuckets } from '../src/s3/bucket-store.ts'
import { checksumOfParts, startChecksum } from '../src/s3/checksums.ts'
import { headObject } from '../src/s3/object-entry.ts'
import { listObjects } from '../src/s3/object-listing.ts'
import { type ObjectStore, openObjectStore, removeOrphans } from '../src/s3/object-store.ts'
import { downloadPrefix, parseS3Uri, uploadDirectory } from '../src/s3/object-transfer.ts'
import { copyObject, deleteObjects, putObject, readObject } from '../src/s3/objects.ts'

let directory: string
let store: ObjectStore

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-s3-'))
  store = openObjectStore(join(directory, 'store'))
  createBucket(store, 'data')
})

afterEach(async () => {
  store[Symbol.dispose]()
  await rm(directory, { recursive: true, force: true, maxRetries: 5 })
})

const bodyOf = async function* (...texts: string[]) {
  for (const text of texts) yield Buffer.from(text)
}
const put = (key: string, text = key) =>
  putObject(store, { bucket: 'data', key, body: bodyOf(text) })
const get = async (key: string, select?: () => { start: number; end: number }) => {
  const { body } = await readObject(store, { bucket: 'data', key, ...(select && { select }) })
  return Buffer.concat(await body.toArray()).toString()
}
const blobFiles = async () =>
  (await readdir(join(directory, 'store/blobs'), { recursive: true, withFileTypes: true })).filter(
    (entry) => entry.isFile(),
  )

describe('objects', () => {
  test.each([
    ['a key and one below it', ['a', 'a/b', 'a/']],
    ['dots', ['..', '../x', '/etc/passwd', './a', 'a/../../b']],
    ['1024 bytes', ['ü'.repeat(512)]],
    ['odd letters', ['a b+c%20', 'sch\u{1F600}n', '\u0001', 'x\\y', '//', 'ä/é']],
  ])('any key is only a key: %s', async (_name, keys) => {
    for (const key of keys) await put(key)

    for (const key of keys) expect(await get(key)).toBe(key)
    expect(
      listObjects(store, { bucket: 'data', limit: 100 }).objects.map(({ key }) => key),
    ).toEqual(keys.toSorted((left, right) => Buffer.from(left).compare(Buffer.from(right))))
    expect(await readdir(directory)).toEqual(['store'])
  })

  test('keys of no or more than 1024 bytes are refused', async () => {
    await expect(put('ü'.repeat(513))).rejects.toMatchObject({ code: 'KeyTooLongError' })
    await expect(put('')).rejects.toMatchObject({ code: 'InvalidArgument' })
  })

  test('a body that is not what its sender says changes nothing and leaves nothing', async () => {
    await put('kept', 'old')
    const wrong = (expected: object) =>
      putObject(store, { bucket: 'data', key: 'kept', body: bodyOf('new'), expected })

    await expect(wrong({ md5: createHash('md5').digest() })).rejects.toMatchObject({
      code: 'BadDigest',
    })
    await expect(
      wrong({ checksum: { algorithm: 'CRC32', value: () => 'AAAAAA==' } }),
    ).rejects.toMatchObject({ code: 'BadDigest' })
    async function* broken() {
      yield Buffer.from('half')
      throw new Error('the line broke')
    }
    await expect(putObject(store, { bucket: 'data', key: 'kept', body: broken() })).rejects.toThrow(
      'the line broke',
    )

    expect(await get('kept')).toBe('old')
    expect(await blobFiles()).toHaveLength(1)
  })

  test('a reader keeps the object it opened when it is replaced and deleted', async () => {
    await put('k', 'first')
    const { body } = await readObject(store, { bucket: 'data', key: 'k' })

    await put('k', 'second')
    await deleteObjects(store, { bucket: 'data', keys: ['k', 'absent'] })

    expect(Buffer.concat(await body.toArray()).toString()).toBe('first')
    expect(await blobFiles()).toHaveLength(0)
  })

  test('a body that nobody reads, or not to its end, keeps no file open', async () => {
    await put('k', 'x'.repeat(2_000_000))
    const openFiles = async () => (await readdir('/proc/self/fd')).length
    const before = await openFiles()

    const { body: unread } = await readObject(store, { bucket: 'data', key: 'k' })
    const { body: begun } = await readObject(store, { bucket: 'data', key: 'k' })
    for await (const _ of begun.iterator({ destroyOnReturn: false })) break
    expect(await openFiles()).toBe(before + 2)
    unread.destroy()
    begun.destroy()

    await expect.poll(openFiles).toBe(before)
  })

  test('a range gives its bytes', async () => {
    await put('k', '0123456789')

    expect(await get('k', () => ({ start: 3, end: 5 }))).toBe('345')
  })

  test('a copy outlives its source', async () => {
    await put('from', 'text')

    await copyObject(store, { bucket: 'data', key: 'from' }, { bucket: 'data', key: 'to' })
    await deleteObjects(store, { bucket: 'data', keys: ['from'] })

    expect(await get('to')).toBe('text')
  })

  test('two openers of one directory see each other at once', async () => {
    using other = openObjectStore(join(directory, 'store'))

    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        putObject(n % 2 ? store : other, { bucket: 'data', key: `${n}`, body: bodyOf(`${n}`) }),
      ),
    )

    expect(listObjects(other, { bucket: 'data', limit: 100 }).objects).toHaveLength(20)
    expect(await get('6')).toBe('6')
  })

  test('a bucket with objects is not deleted', async () => {
    await put('k')

    await expect(deleteBucket(store, 'data')).rejects.toMatchObject({ code: 'BucketNotEmpty' })
    await deleteObjects(store, { bucket: 'data', keys: ['k'] })
    await deleteBucket(store, 'data')

    expect(listBuckets(store)).toEqual([])
    await expect(put('k')).rejects.toMatchObject({ code: 'NoSuchBucket' })
    expect(await blobFiles()).toHaveLength(0)
  })

  test('what a crash left behind is removed after a day, and only that', async () => {
    await put('k', 'kept')
    const [blob] = await blobFiles()
    const orphan = join(blob?.parentPath ?? '', '00000000-0000-4000-8000-000000000000')
    await writeFile(orphan, 'lost')

    expect(await removeOrphans(store)).toBe(0)
    expect(await removeOrphans(store, Date.now() + 25 * 3600 * 1000)).toBe(1)

    expect(await get('k')).toBe('kept')
    expect(headObject(store, 'data', 'k').sizeBytes).toBe(4)
  })
})

describe('listing', () => {
  test('pages through keys and common prefixes without a gap or a double', async () => {
    const keys = ['a', 'a/1', 'a/2', 'b/1', 'b/x/1', 'b0', 'ä/1', '\u{1F600}/1', '\uffee']
    for (const key of keys) await put(key, '')

    const seen: string[] = []
    for (let after: string | undefined; ; ) {
      const page = listObjects(store, {
        bucket: 'data',
        delimiter: '/',
        limit: 1,
        ...(after !== undefined && { after }),
      })
      seen.push(...[...page.objects.map(({ key }) => key), ...page.commonPrefixes])
      after = page.last
      if (!page.isTruncated) break
    }

    expect(seen).toEqual(['a', 'a/', 'b/', 'b0', 'ä/', '\uffee', '\u{1F600}/'])
  })

  test('a hundred thousand keys are listed by the page, common prefixes in one step each', () => {
    const insert = store.sql(`INSERT INTO objects VALUES ('data', ?, 'e', 1, 1, '[]', '{}', '{}')`)
    store.write(() => {
      for (let n = 0; n < 100_000; n++) {
        insert.run(
          Buffer.from(`${String(n % 1000).padStart(3, '0')}/${String(n).padStart(6, '0')}`),
        )
      }
    })
    const startedMs = performance.now()

    const rolled = listObjects(store, { bucket: 'data', delimiter: '/', limit: 1000 })
    const page = listObjects(store, { bucket: 'data', after: '007/050007', limit: 1000 })

    expect(rolled.commonPrefixes).toEqual(
      Array.from({ length: 1000 }, (_, n) => `${String(n).padStart(3, '0')}/`),
    )
    expect(rolled.isTruncated).toBe(false)
    expect(page.objects[0]?.key).toBe('007/051007')
    expect(page.objects).toHaveLength(1000)
    const pagesMs = performance.now() - startedMs
    const rows = store.sql('SELECT * FROM objects ORDER BY key').all()
    const allMs = performance.now() - startedMs - pagesMs
    expect(rows).toHaveLength(100_000)
    expect(pagesMs).toBeLessThan(allMs)
  })
})

describe('directories', () => {
  const read = (path: string) => readFile(join(directory, 'to', path), 'utf8')

  test('a prefix becomes a directory, and a directory becomes objects', async () => {
    for (const key of ['d/train/a.csv', 'd/train/x/b.csv', 'd/train/', 'd/train2/c', 'd/test']) {
      await put(key)
    }

    const files = await downloadPrefix(store, parseS3Uri('s3://data/d/train'), `${directory}/to`)
    expect(files.map(({ path }) => path)).toEqual(['a.csv', 'x/b.csv', 'train2/c'])
    expect(await read('x/b.csv')).toBe('d/train/x/b.csv')

    await symlink('/etc/passwd', join(directory, 'to/link'))
    expect(await uploadDirectory(store, `${directory}/to`, parseS3Uri('s3://data/out'))).toEqual([
      'out/a.csv',
      'out/train2/c',
      'out/x/b.csv',
    ])
    expect(await get('out/a.csv')).toBe('d/train/a.csv')
  })

  test('one object is written under its own name', async () => {
    await put('d/train.csv')

    await downloadPrefix(store, { bucket: 'data', key: 'd/train.csv' }, `${directory}/to`)

    expect(await read('train.csv')).toBe('d/train.csv')
  })

  test.each([['p/../../x'], ['p//x'], ['p/./x'], ['p/..'], ['p/a\\b']])(
    'the key %s is refused before anything is written',
    async (key) => {
      await put('p/good')
      await put(key)

      await expect(
        downloadPrefix(store, { bucket: 'data', key: 'p/' }, `${directory}/to`),
      ).rejects.toThrow(key)
      expect(await readdir(directory)).toEqual(['store'])
    },
  )

  test('keys that are a file and a folder are refused by name', async () => {
    await put('p/a')
    await put('p/a/b')

    await expect(
      downloadPrefix(store, { bucket: 'data', key: 'p/' }, `${directory}/to`),
    ).rejects.toThrow("'a' would be a file and, because of s3://data/p/a/b, a folder as well")
  })
})

describe('checksums', () => {
  // The check values of the catalogue of CRCs for the digits 1 to 9; FIPS 180 for the others.
  test.each([
    ['CRC32', 'cbf43926'],
    ['CRC32C', 'e3069283'],
    ['CRC64NVME', 'ae8b14860a799888'],
    ['SHA1', 'f7c3bc1d808e04732adf679965ccc34ca7ae3441'],
  ] as const)('%s has its check value, however the bytes are cut', (algorithm, expected) => {
    for (const cuts of [['123456789'], ['12345678', '9'], ['1', '2345678', '', '9']]) {
      const sum = startChecksum(algorithm)
      for (const cut of cuts) sum.update(Buffer.from(cut))
      expect(sum.digest().toString('hex')).toBe(expected)
    }
  })

  test.each([['CRC32'], ['CRC32C'], ['CRC64NVME']] as const)(
    '%s of the whole follows from its parts',
    (algorithm) => {
      const parts = ['1234', '', '5', '6789'].map((text) => {
        const sum = startChecksum(algorithm)
        sum.update(Buffer.from(text))
        return { value: sum.digest().toString('base64'), sizeBytes: text.length }
      })
      const whole = startChecksum(algorithm)
      whole.update(Buffer.from('123456789'))

      expect(checksumOfParts(algorithm, 'FULL_OBJECT', parts)).toEqual({
        algorithm,
        type: 'FULL_OBJECT',
        value: whole.digest().toString('base64'),
      })
    },
  )
})
