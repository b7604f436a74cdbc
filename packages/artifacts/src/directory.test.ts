import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  canOpenByDescriptor,
  childPath,
  openChildDirectory,
  openOrCreateChildDirectory,
  openRootDirectory,
} from './directory.ts'

let path: string

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'millrace-directory-'))
  await mkdir(join(path, 'root', 'swapped'), { recursive: true })
  await mkdir(join(path, 'outside', 'deep'), { recursive: true })
  await writeFile(join(path, 'outside', 'file'), 'secret')
})
afterEach(() => rm(path, { recursive: true }))

test.runIf(canOpenByDescriptor)(
  'an open directory stays itself when a link takes its path',
  async () => {
    await using root = await openRootDirectory(join(path, 'root'), true)
    await using directory = await openChildDirectory(root, 'swapped')
    await rename(join(path, 'root', 'swapped'), join(path, 'root', 'aside'))
    await symlink(join(path, 'outside'), join(path, 'root', 'swapped'))

    await expect(readFile(childPath(directory, 'file'))).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(openChildDirectory(directory, 'deep')).rejects.toMatchObject({ code: 'ENOENT' })
    await using created = await openOrCreateChildDirectory(directory, 'new')
    await writeFile(childPath(created, 'file'), 'x')

    expect(await readdir(join(path, 'outside'))).toEqual(['deep', 'file'])
    expect(await readFile(join(path, 'root', 'aside', 'new', 'file'), 'utf8')).toBe('x')
  },
)

test.each([true, false])(
  'a link is no child directory, with descriptor paths %s',
  async (byDescriptor) => {
    await symlink(join(path, 'outside'), join(path, 'root', 'link'))
    await using root = await openRootDirectory(join(path, 'root'), byDescriptor)

    await expect(openChildDirectory(root, 'link')).rejects.toMatchObject({ code: 'ENOTDIR' })
    await expect(openOrCreateChildDirectory(root, 'link')).rejects.toMatchObject({
      code: 'ENOTDIR',
    })
  },
)
