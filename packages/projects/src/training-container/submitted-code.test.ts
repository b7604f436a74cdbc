import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseTrackingUri } from '@millrace/models/tracking-server'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { placeCode } from './submitted-code.ts'
import { unpackTar } from './tar-archive.ts'

let folder: string
let target: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-submitted-'))
  target = join(folder, 'code')
  await mkdir(join(folder, 'in'))
})
afterEach(() => rm(folder, { recursive: true }))

const remote = {
  tracking: parseTrackingUri('http://127.0.0.1:9', {}),
  stores: {},
  signal: new AbortController().signal,
}
const place = (uri: string | undefined) => placeCode(uri, target, remote)

/** A tar file by the system's own program, with a long name and an executable in it. */
async function makeTar(...flags: string[]): Promise<string> {
  const long = 'd'.repeat(90)
  await mkdir(join(folder, 'in', long, long), { recursive: true })
  await writeFile(join(folder, 'in', long, long, 'é.txt'), 'x'.repeat(100_000))
  await writeFile(join(folder, 'in', 'MLproject'), 'name: submitted')
  await writeFile(join(folder, 'in', 'run.bin'), '', { mode: 0o755 })
  const file = join(folder, 'code.tar.gz')
  execFileSync('tar', [...flags, '-cf', file, '-C', join(folder, 'in'), '.'])
  return file
}

describe('the code of a job', () => {
  test.each([[['-z', '--format=gnu']], [['-z', '--format=pax']], [['--format=pax']]])(
    'comes out of a tar file made with %j',
    async (flags) => {
      const file = await makeTar(...flags)
      await place(`file://${file}`)

      const long = 'd'.repeat(90)
      expect(await readFile(join(target, 'MLproject'), 'utf8')).toBe('name: submitted')
      expect((await stat(join(target, 'run.bin'))).mode & 0o111).not.toBe(0)
      expect(await readFile(join(target, long, long, 'é.txt'), 'utf8')).toBe('x'.repeat(100_000))
    },
  )

  test('may be a directory, or one that holds the archive', async () => {
    await makeTar('-z')
    await place(join(folder, 'in'))
    expect(await readFile(join(target, 'MLproject'), 'utf8')).toBe('name: submitted')

    await rm(target, { recursive: true })
    await mkdir(join(folder, 'upload'))
    execFileSync('mv', [join(folder, 'code.tar.gz'), join(folder, 'upload')])
    await place(join(folder, 'upload'))
    expect(await readdir(target)).toContain('MLproject')
  })

  test('is left as it is when there is some', async () => {
    await mkdir(target)
    await writeFile(join(target, 'mine'), '')
    await place(await makeTar('-z'))

    expect(await readdir(target)).toEqual(['mine'])
  })

  test.each([
    [undefined, /There is no code in .*sagemaker_submit_directory/],
    ['/no/such/code.tar.gz', /There is no code at '\/no\/such\/code\.tar\.gz'/],
  ])('%s is refused in a sentence', async (uri, sentence) => {
    await expect(place(uri)).rejects.toThrow(sentence)
  })

  test.each(['link', 'hard link', 'above', 'absolute', 'cut', 'none'])(
    'with a member that is a trick (%s) is refused',
    async (trick) => {
      const file = join(folder, 'bad.tar')
      await writeFile(join(folder, 'in', 'a'), 'x'.repeat(10_000))
      const tar = (...args: string[]) =>
        execFileSync('tar', ['-P', '-cf', file, '-C', join(folder, 'in'), ...args])
      if (trick === 'link') execFileSync('ln', ['-s', '/etc', join(folder, 'in', 'l')])
      if (trick === 'hard link')
        execFileSync('ln', [join(folder, 'in', 'a'), join(folder, 'in', 'l')])
      if (trick === 'above') tar('--transform=s,^a,../CANARY,', 'a')
      else if (trick === 'absolute') tar('--transform=s,^a,/CANARY,', 'a')
      else tar('.')
      if (trick === 'cut') await writeFile(file, (await readFile(file)).subarray(0, 5_000))
      if (trick === 'none') await writeFile(file, 'no tar file at all'.repeat(100))
      await mkdir(target)

      await expect(unpackTar(file, target)).rejects.toMatchObject({
        code: 'INVALID_PARAMETER_VALUE',
      })
      expect(await readdir(folder)).not.toContain('CANARY')
    },
  )
})
