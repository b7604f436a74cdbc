import { spawnSync } from 'node:child_process'
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { describeArtifactStore } from '../test/artifact-store-behaviour.ts'
import { parseArtifactPath as at } from './artifact-path.ts'
import { openStore } from './artifact-store.ts'
import { canOpenByDescriptor } from './directory.ts'
import { openFileStore } from './file-store.ts'
import { parseLocation } from './location.ts'

const DAY_MS = 24 * 3600 * 1000
let directory: string
let root: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-artifacts-'))
  root = join(directory, 'deep', 'root')
})
afterEach(() => rm(directory, { recursive: true }))

describeArtifactStore('the file store', async () => openFileStore(root))
describeArtifactStore('the file store without descriptor paths', async () =>
  openFileStore(root, { byDescriptor: false }),
)

test('openStore opens the directory of a location', async () => {
  await openStore(parseLocation(`file://${root}`)).write(at('a'), body('x'))

  expect(await readFile(join(root, 'a'), 'utf8')).toBe('x')
})

test.each(['hdfs://host/a', 'mlflow-artifacts:/a', 'bogus:/a'])(
  'openStore refuses %s, naming the scheme',
  (uri) => {
    const [scheme] = uri.split(':')

    expect(() => openStore(parseLocation(uri))).toThrow(
      expect.objectContaining({
        code: 'INVALID_PARAMETER_VALUE',
        message: `No artifact store for the '${scheme}' scheme: '${uri}'`,
      }),
    )
  },
)

describe('writing', () => {
  test('leaves only the file, readable by its owner alone', async () => {
    await openFileStore(root).write(at('a/b'), body('x'))

    expect(await readdir(root, { recursive: true })).toEqual(['a', 'a/b'])
    expect((await lstat(root)).mode & 0o777).toBe(0o700)
    expect((await lstat(join(root, 'a'))).mode & 0o777).toBe(0o700)
    expect((await lstat(join(root, 'a/b'))).mode & 0o777).toBe(0o600)
  })

  test.each([
    ['a', 'a directory', "Artifact path refers to a directory, not a file: 'a'"],
    ['a/file/x', 'below a file', "Cannot write 'a/file/x': 'a/file' is not a directory"],
    ['a/file/x/y', 'far below a file', "Cannot write 'a/file/x/y': 'a/file' is not a directory"],
  ])('refuses %s, %s, before it reads the body', async (path, _what, message) => {
    const store = openFileStore(root)
    await store.write(at('a/file'), body('x'))
    let isRead = false
    async function* unread() {
      isRead = true
      yield Buffer.from('x')
    }

    await expect(store.write(at(path), unread())).rejects.toMatchObject({
      code: 'INVALID_PARAMETER_VALUE',
      message,
    })

    expect(isRead).toBe(false)
    expect(await readdir(root, { recursive: true })).toEqual(['a', 'a/file'])
  })

  test('refuses a path that became one of these while the body arrived', async () => {
    const store = openFileStore(root)
    async function* blockingBody(blocker: string) {
      yield Buffer.from('x')
      await store.write(at(blocker), body('x'))
    }
    const refused = { code: 'INVALID_PARAMETER_VALUE' }

    await expect(store.write(at('a'), blockingBody('a/b'))).rejects.toMatchObject(refused)
    await expect(store.write(at('c/d'), blockingBody('c'))).rejects.toMatchObject(refused)

    expect((await readdir(root, { recursive: true })).sort()).toEqual(['a', 'a/b', 'c'])
  })

  test('refuses a root that is a file', async () => {
    await mkdir(join(directory, 'deep'))
    await writeFile(root, 'x')
    const store = openFileStore(root)

    await expect(store.write(at('a'), body('x'))).rejects.toMatchObject({
      code: 'INVALID_PARAMETER_VALUE',
    })
    expect(await store.list(at(''))).toEqual([])
    expect(await readFile(root, 'utf8')).toBe('x')
  })

  test('survives deletes of the same directory, storing the file or saying so', async () => {
    const store = openFileStore(root)

    for (let round = 0; round < 60; round++) {
      const outcomes = Promise.allSettled(
        Array.from({ length: 4 }, (_, index) => store.write(at(`a/b/${index}`), body('x'))),
      )
      await Promise.all(Array.from({ length: 8 }, () => store.delete(at('a'))))

      for (const outcome of await outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'ABORTED' })
      }
    }
    await store.delete(at('a'))
    expect(await readdir(root)).toEqual([])
  })

  test('lets a file be written into a directory that is being deleted', async () => {
    const store = openFileStore(root)
    await mkdir(join(root, 'a'), { recursive: true })
    for (let index = 0; index < 300; index++) await writeFile(join(root, 'a', `${index}`), 'x')

    const deleting = store.delete(at('a'))
    while ((await readdir(join(root, 'a'))).length > 290) await setImmediate()
    await store.write(at('a/new'), body('x'))
    await deleting

    expect(await readdir(join(root, 'a'))).toEqual(['new'])
  })

  test('removes uploads that a crash left a day ago, and no others', async () => {
    const uploads = join(root, '#uploads')
    await mkdir(uploads, { recursive: true })
    for (const name of ['crashed', 'live']) await writeFile(join(uploads, name), 'x')
    const twoDaysAgo = new Date(Date.now() - 2 * DAY_MS)
    await utimes(join(uploads, 'crashed'), twoDaysAgo, twoDaysAgo)

    await openFileStore(root).write(at('a'), body('x'))

    expect(await readdir(uploads)).toEqual(['live'])
  })

  test('hides an upload until it is complete', async () => {
    const store = openFileStore(root)
    const seen: unknown[] = []
    async function* watched() {
      yield Buffer.from('x')
      seen.push(await readdir(root), await store.list(at('')))
    }

    await store.write(at('a'), watched())

    expect(seen).toEqual([['#uploads'], []])
  })

  test('does not delete uploads under way with the rest of the root', async () => {
    const store = openFileStore(root)
    async function* interrupted() {
      yield Buffer.from('x')
      await store.delete(at(''))
      yield Buffer.from('y')
    }

    await store.write(at('a'), interrupted())

    expect(await readFile(join(root, 'a'), 'utf8')).toBe('xy')
  })
})

describe('names that are no artifact paths', () => {
  test('are not listed, and go when their directory is deleted', async () => {
    const store = openFileStore(root)
    for (const name of ['good', 'a\ufffd']) await store.write(at(`d/${name}`), body('x'))
    const bad = [
      Buffer.from('a\\b'),
      Buffer.from('a#b'),
      Buffer.from([0x61, 0xff]),
      Buffer.from('a\nb'),
    ]
    for (const name of bad) {
      await writeFile(Buffer.concat([Buffer.from(`${root}/d/`), name]), 'x')
    }

    expect((await store.list(at('d'))).map(({ path }) => path[1])).toEqual(['a\ufffd', 'good'])
    await store.delete(at('d'))
    expect(await readdir(root)).toEqual([])
  })

  test('a pipe is neither listed nor opened', async () => {
    const store = openFileStore(root)
    await store.write(at('file'), body('x'))
    expect(spawnSync('mkfifo', [join(root, 'pipe')]).status).toBe(0)

    expect((await store.list(at(''))).map(({ path }) => path)).toEqual([['file']])
    await expect(store.stat(at('pipe'))).rejects.toMatchObject({ code: 'RESOURCE_DOES_NOT_EXIST' })
    await expect(store.open(at('pipe'))).rejects.toMatchObject({ code: 'RESOURCE_DOES_NOT_EXIST' })
  })
})

describe.each([true, false])('links, with descriptor paths %s', (byDescriptor) => {
  const openRoot = () => openFileStore(root, { byDescriptor: byDescriptor && canOpenByDescriptor })
  const missing = { code: 'RESOURCE_DOES_NOT_EXIST' }
  let secret: string

  beforeEach(async () => {
    await openRoot().write(at('real/inside'), body('inside'))
    secret = join(directory, 'secrets')
    await mkdir(secret)
    await writeFile(join(secret, 'secret'), 'secret')
    await symlink(join(secret, 'secret'), join(root, 'file-link'))
    await symlink(secret, join(root, 'directory-link'))
    await symlink('real', join(root, 'inner-link'))
    await symlink('../../..', join(root, 'real', 'up-link'))
    await symlink('nowhere', join(root, 'dangling'))
  })

  const links = ['file-link', 'directory-link', 'inner-link', 'real/up-link', 'dangling']
  const throughLinks = ['directory-link/secret', 'inner-link/inside', 'real/up-link/secrets/secret']

  test.each([...links, ...throughLinks])('%s does not exist for readers', async (path) => {
    const store = openRoot()

    await expect(store.open(at(path))).rejects.toMatchObject(missing)
    await expect(store.stat(at(path))).rejects.toMatchObject(missing)
    expect(await store.list(at(path))).toEqual([])
  })

  test('are not listed', async () => {
    const paths = (await openRoot().list(at(''))).map(({ path }) => path)

    expect(paths).toEqual([['real']])
  })

  test.each(['directory-link/new', 'directory-link/sub/new', 'dangling/new', 'inner-link/new'])(
    'refuses to write %s',
    async (path) => {
      const writing = openRoot().write(at(path), body('x'))

      await expect(writing).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' })
      expect(await readdir(secret)).toEqual(['secret'])
    },
  )

  test('writing replaces the link, not what it leads to', async () => {
    const store = openRoot()
    for (const path of ['file-link', 'directory-link']) await store.write(at(path), body('new'))

    expect(await readFile(join(secret, 'secret'), 'utf8')).toBe('secret')
    expect(await text((await store.open(at('file-link'))).body)).toBe('new')
    expect(await text((await store.open(at('directory-link'))).body)).toBe('new')
  })

  test('deleting removes the link, not what it leads to', async () => {
    const store = openRoot()
    for (const path of [...throughLinks, ...links, 'real']) await store.delete(at(path))

    expect(await readdir(secret)).toEqual(['secret'])
    expect(await readdir(root)).toEqual([])
  })

  test('the root itself may be one', async () => {
    await symlink(root, join(directory, 'root-link'))
    const store = openFileStore(join(directory, 'root-link'), { byDescriptor })

    await store.write(at('a'), body('x'))

    expect(await text((await store.open(at('a'))).body)).toBe('x')
  })
})

test.each(['swapped/file', 'swapped/deep/file'])(
  'refuses to write %s when its directory becomes a link while the body arrives',
  async (path) => {
    const store = openFileStore(root)
    const outside = join(directory, 'outside')
    await mkdir(join(outside, 'deep'), { recursive: true })
    await store.write(at('swapped/deep/old'), body('x'))
    async function* swapping() {
      yield Buffer.from('x')
      await rename(join(root, 'swapped'), join(root, 'aside'))
      await symlink(outside, join(root, 'swapped'))
    }

    const writing = store.write(at(path), swapping())

    await expect(writing).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' })
    expect(await readdir(outside, { recursive: true })).toEqual(['deep'])
    expect(await readdir(join(root, 'aside', 'deep'))).toEqual(['old'])
  },
)

async function* body(content: string) {
  yield Buffer.from(content)
}
