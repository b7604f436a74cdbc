import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { packProject } from './project-archive.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-archive-'))
  await mkdir(join(folder, 'project', 'src'), { recursive: true })
  await mkdir(join(folder, 'project', 'empty'))
  await writeFile(join(folder, 'project', 'MLproject'), 'name: x\n')
  await writeFile(join(folder, 'project', 'src', 'train.py'), 'pass\n')
})
afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))

const pack = (name = 'a.tar.gz') => packProject(join(folder, 'project'), join(folder, name))
const listed = () =>
  execFileSync('tar', ['-tvzf', join(folder, 'a.tar.gz')], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.replace(/^(.).* (\S+)$/, '$1 $2'))

test('holds the files of the project, what links inside of it lead to, and nothing that tools made', async () => {
  const project = join(folder, 'project')
  await symlink('src/train.py', join(project, 'link.py'))
  for (const made of ['.git', 'mlruns', 'src/__pycache__']) {
    await mkdir(join(project, made))
    await writeFile(join(project, made, 'x'), 'x')
  }
  await pack()

  expect(listed()).toEqual([
    '- ./MLproject',
    'd ./empty/',
    '- ./link.py',
    'd ./src/',
    '- ./src/train.py',
  ])
})

test('the same files have the same hash at another time, and other files another', async () => {
  const first = await pack()
  await utimes(join(folder, 'project', 'MLproject'), 1, 1)

  expect(await pack('b.tar.gz')).toBe(first)
  await writeFile(join(folder, 'project', 'MLproject'), 'name: y\n')
  expect(await pack('c.tar.gz')).not.toBe(first)
})

test.each([
  ['../secret', /The link out leads to .*secret, which is not in the project/],
  ['nothing', /The link out leads nowhere/],
  ['.', /The link out leads to a folder it is in/],
])('refuses a link to %s', async (target, sentence) => {
  await writeFile(join(folder, 'secret'), 'x')
  await symlink(target, join(folder, 'project', 'out'))

  await expect(pack()).rejects.toThrow(sentence)
})
