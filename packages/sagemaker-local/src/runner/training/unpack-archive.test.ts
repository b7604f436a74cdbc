import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Header } from 'tar'
import { expect, test } from 'vitest'
import { unpackArchive } from './unpack-archive.ts'

type EntryType = 'File' | 'SymbolicLink' | 'Link' | 'CharacterDevice' | 'Directory'

/** An archive with members as they are given, however wicked. */
async function archive(
  ...members: { path: string; type?: EntryType; linkpath?: string; text?: string; size?: number }[]
): Promise<string> {
  const blocks = members.flatMap(({ path, type = 'File', linkpath, text = '', size }) => {
    const block = Buffer.alloc(512)
    const header = new Header({
      path,
      type,
      size: size ?? text.length,
      mode: 0o644,
      mtime: new Date(0),
    })
    if (linkpath !== undefined) header.linkpath = linkpath
    header.encode(block, 0)
    const body = Buffer.alloc(Math.ceil(text.length / 512) * 512)
    body.write(text)
    return [block, body]
  })
  const file = join(await mkdtemp(join(tmpdir(), 'millrace-archive-')), 'source.tar')
  await writeFile(file, Buffer.concat([...blocks, Buffer.alloc(1024)]))
  return file
}

test('an archive of files and folders is unpacked', async () => {
  const file = await archive(
    { path: './train.py', text: 'print(1)' },
    { path: 'lib', type: 'Directory' },
    { path: 'lib/a.py', text: 'a' },
  )
  const folder = await mkdtemp(join(tmpdir(), 'millrace-unpacked-'))

  await unpackArchive(file, folder, 's3://b/source.tar')

  expect(await readFile(join(folder, 'train.py'), 'utf8')).toBe('print(1)')
  expect(await readdir(join(folder, 'lib'))).toEqual(['a.py'])
})

test.each([
  ['a path upwards', { path: 'a/../../evil' }, /'a\/\.\.\/\.\.\/evil' would be written outside/],
  ['an absolute path', { path: '/etc/evil' }, /'\/etc\/evil' would be written outside/],
  ['a Windows path', { path: 'C:\\evil' }, /would be written outside/],
  ['a link', { path: 'l', type: 'SymbolicLink', linkpath: '/etc' }, /'l' is a SymbolicLink/],
  ['a hard link', { path: 'l', type: 'Link', linkpath: 'good' }, /'l' is a Link/],
  ['a device', { path: 'd', type: 'CharacterDevice' }, /'d' is a CharacterDevice/],
  ['a name for the second time', { path: 'good', text: 'x' }, /'good' comes twice/],
] as const)(
  'an archive with %s is refused, and nothing of it is written',
  async (_what, bad, words) => {
    const file = await archive({ path: 'good', text: 'x' }, bad)
    const folder = await mkdtemp(join(tmpdir(), 'millrace-unpacked-'))

    await expect(unpackArchive(file, folder, 's3://b/source.tar')).rejects.toThrow(words)

    expect(await readdir(folder)).toEqual([])
  },
)

test('what is no archive is refused by its name', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-unpacked-'))
  await writeFile(join(folder, 'x.tar.gz'), 'this is no archive')

  await expect(
    unpackArchive(join(folder, 'x.tar.gz'), join(folder, 'out'), 's3://b/x.tar.gz'),
  ).rejects.toThrow(/^s3:\/\/b\/x\.tar\.gz is not an archive/)
})
