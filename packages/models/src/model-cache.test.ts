import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type ArtifactStore, openStore } from '@millrace/artifacts/artifact-store'
import { parseLocation } from '@millrace/artifacts/location'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { listTree } from './artifact-download.ts'
import { copyThroughCache } from './model-cache.ts'

let folder: string
let bucket: string
let cacheDirectory: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-cache-'))
  bucket = join(folder, 'bucket')
  cacheDirectory = join(folder, 'cache')
  await mkdir(join(bucket, 'data'), { recursive: true })
  await writeFile(join(bucket, 'MLmodel'), 'flavors: {}')
  await writeFile(join(bucket, 'data', 'weights.bin'), 'weights')
})
afterEach(() => rm(folder, { recursive: true }))

/** A store that tells what is read of it. */
function watchedStore(): ArtifactStore & { opened: string[] } {
  const opened: string[] = []
  const store = openStore(parseLocation(bucket))
  return {
    ...store,
    opened,
    open(path, options) {
      opened.push(path.join('/'))
      return store.open(path, options)
    },
  }
}

async function fetchFrom(store: ArtifactStore): Promise<string> {
  const directory = await mkdtemp(join(folder, 'model-'))
  const tree = { store, uri: 's3://bucket/model' }
  await copyThroughCache(tree, await listTree(tree), { directory, cacheDirectory })
  return directory
}

const weights = (directory: string) => readFile(join(directory, 'data', 'weights.bin'), 'utf8')

test('a model that is asked for again is not read from its store again', async () => {
  const store = watchedStore()
  await fetchFrom(store)
  expect(store.opened.sort()).toEqual(['MLmodel', 'data/weights.bin'])

  const again = await fetchFrom(store)

  expect(store.opened).toHaveLength(2)
  expect(await weights(again)).toBe('weights')
  expect(await readdir(again, { recursive: true })).toHaveLength(3)
})

test('a file that was replaced is fetched, whatever was kept', async () => {
  await fetchFrom(watchedStore())
  await rm(join(bucket, 'data', 'weights.bin'))
  await writeFile(join(bucket, 'data', 'weights.bin'), 'WEIGHTS')

  expect(await weights(await fetchFrom(watchedStore()))).toBe('WEIGHTS')
})

test('kept files that are damaged are fetched again', async () => {
  const first = await fetchFrom(watchedStore())
  await chmod(join(first, 'data', 'weights.bin'), 0o600)
  await writeFile(join(first, 'data', 'weights.bin'), 'damaged')
  const store = watchedStore()

  expect(await weights(await fetchFrom(store))).toBe('weights')
  expect(store.opened).toHaveLength(2)
})

test('a download that breaks off leaves nothing that could be taken for a model', async () => {
  const store = watchedStore()
  const broken: ArtifactStore = {
    ...store,
    async open(path) {
      const opened = await store.open(path)
      if (path.at(-1) !== 'weights.bin') return opened
      opened.body.destroy()
      return { ...opened, body: Readable.from([Buffer.from('wei')]) }
    },
  }

  await expect(fetchFrom(broken)).rejects.toThrow(
    "'data/weights.bin' of 's3://bucket/model' broke off after 3 of 7 bytes.",
  )

  expect(await readdir(cacheDirectory)).toEqual([])
  expect(await weights(await fetchFrom(store))).toBe('weights')
})

test('a file that is replaced while it is fetched is not kept as the old one', async () => {
  const store = watchedStore()
  const racing: ArtifactStore = {
    ...store,
    async open(path) {
      await rm(join(bucket, ...path))
      await writeFile(join(bucket, ...path), 'newer')
      return store.open(path)
    },
  }

  await expect(fetchFrom(racing)).rejects.toMatchObject({ code: 'ABORTED' })
  expect(await readdir(cacheDirectory)).toEqual([])
})

test('what was handed out outlives what was kept, which others cannot change', async () => {
  const directory = await fetchFrom(watchedStore())
  await rm(cacheDirectory, { recursive: true })

  expect(await weights(directory)).toBe('weights')
  expect((await stat(join(directory, 'MLmodel'))).mode & 0o777).toBe(0o400)
})

test('what nobody used for weeks is removed when something is added', async () => {
  await fetchFrom(watchedStore())
  const [old = ''] = await readdir(cacheDirectory)
  const longAgo = new Date(Date.now() - 30 * 24 * 3600 * 1000)
  await utimes(join(cacheDirectory, old), longAgo, longAgo)
  await writeFile(join(bucket, 'more'), 'more')

  await fetchFrom(watchedStore())

  const kept = await readdir(cacheDirectory)
  expect(kept).toHaveLength(1)
  expect(kept).not.toContain(old)
})
