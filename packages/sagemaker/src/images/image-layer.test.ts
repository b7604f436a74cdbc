import { mkdir, mkdtemp, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type LayerEntry, writeCachedLayer, writeLayer } from './image-layer.ts'
import { blobsOf, readImage, writeLayout } from './oci-layout.ts'
import { unpackImage } from './unpack-image.ts'
import { writeImage, writeImageIndex } from './write-image.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-layer-'))
})
afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))

const file = (path: string, text: string, mode = 0o644): LayerEntry => ({
  kind: 'file',
  path,
  mode,
  bytes: Buffer.from(text),
})

async function imageOf(...layers: LayerEntry[][]): Promise<string> {
  const layout = join(folder, 'layout')
  const image = await writeImage(
    layout,
    {
      architecture: 'amd64',
      layers: layers.map((entries, index) => ({ name: `layer ${index}`, entries })),
      config: { Cmd: ['x'] },
    },
    join(folder, 'cache'),
  )
  await writeLayout(layout, [await writeImageIndex(layout, [image], {})], 'test')
  return layout
}

async function unpacked(layout: string): Promise<string> {
  const root = join(folder, 'root')
  await unpackImage(layout, await readImage(layout, 'amd64'), root)
  return root
}

describe('a layer', () => {
  test('is the same for the same contents, whatever the order and however it was read', async () => {
    const source = join(folder, 'b.txt')
    await writeFile(source, 'b')
    const first = await writeLayer([file('a/a.txt', 'a'), file('b.txt', 'b')], join(folder, '1'))
    const again = await writeLayer(
      [{ kind: 'file', path: 'b.txt', mode: 0o644, source, size: 1 }, file('a/a.txt', 'a')],
      join(folder, '2'),
    )

    expect(again).toEqual(first)
    expect((await stat(join(folder, '1', first.digest.slice(7)))).size).toBe(first.size)
  })

  test('of a cache is made again when a file of it has changed and keeps its size', async () => {
    const cache = join(folder, 'cache')
    const of = (text: string) => writeCachedLayer([file('a', text)], join(folder, 'blobs'), cache)

    const digests = [await of('1'), await of('2'), await of('1')].map(({ digest }) => digest)

    expect(digests[1]).not.toBe(digests[0])
    expect(digests[2]).toBe(digests[0])
  })
})

describe('an unpacked image', () => {
  test('has the modes, the links and the names too long for a plain tar header', async () => {
    const long = `${'folder/'.repeat(40)}file.txt`
    const root = await unpacked(
      await imageOf([
        file('bin/run', '#!', 0o755),
        { kind: 'directory', path: 'data', mode: 0o750 },
        { kind: 'link', path: 'run', target: '/bin/run' },
        file(long, 'deep'),
      ]),
    )

    expect((await stat(join(root, 'bin/run'))).mode & 0o777).toBe(0o755)
    expect((await stat(join(root, 'data'))).mode & 0o777).toBe(0o750)
    expect(await readlink(join(root, 'run'))).toBe('/bin/run')
    expect(await readFile(join(root, long), 'utf8')).toBe('deep')
  })

  test('lacks what an upper layer took away, and has what it put in the place of it', async () => {
    const root = await unpacked(
      await imageOf(
        [file('keep', '1'), file('gone', '1'), file('all/old', '1'), file('all/same', '1')],
        [file('.wh.gone', ''), file('all/.wh..wh..opq', ''), file('all/same', '2')],
      ),
    )

    expect(await readFile(join(root, 'keep'), 'utf8')).toBe('1')
    await expect(stat(join(root, 'gone'))).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(stat(join(root, 'all/old'))).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await readFile(join(root, 'all/same'), 'utf8')).toBe('2')
  })

  test('writes through a link as the container will see it, never outside of the image', async () => {
    const outside = join(folder, 'outside')
    await mkdir(outside)
    const root = await unpacked(
      await imageOf(
        [{ kind: 'link', path: 'lib', target: outside }, file('lib/one', '1')],
        [{ kind: 'link', path: 'up', target: '../../../..' }, file('up/two', '2')],
      ),
    )

    await expect(stat(join(outside, 'one'))).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await readFile(join(root, outside, 'one'), 'utf8')).toBe('1')
    expect(await readFile(join(root, 'two'), 'utf8')).toBe('2')
  })

  test('does not come of a path that climbs out, or of a circle of links', async () => {
    const climbing = await imageOf([file('../../evil', '1')])
    await expect(unpacked(climbing)).rejects.toThrow('outside the image')

    const circle = await imageOf([
      { kind: 'link', path: 'a', target: 'b' },
      { kind: 'link', path: 'b', target: 'a' },
      file('b/x', '1'),
    ])
    await expect(unpacked(circle)).rejects.toThrow('circle of links')
  })

  test('does not come of a layer whose contents were exchanged', async () => {
    const layout = await imageOf([file('a', '1')])
    const { manifest } = await readImage(layout, 'amd64')
    const other = await writeLayer([file('a', '2')], blobsOf(layout))
    const name = (digest = '') => join(blobsOf(layout), digest.slice(7))
    await rm(name(manifest.layers[0]?.digest))
    await symlink(name(other.digest), name(manifest.layers[0]?.digest))

    await expect(unpacked(layout)).rejects.toThrow(/unpacks to sha256:\w+, not to sha256:/)
  })
})

test('an image for another processor is refused by the names of those there are', async () => {
  const layout = await imageOf([file('a', '1')])

  await expect(readImage(layout, 's390x')).rejects.toThrow('is for amd64, not for s390x')
})
