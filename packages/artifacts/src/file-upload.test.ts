import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { canOpenByDescriptor, openRootDirectory } from './directory.ts'
import { createUpload } from './file-upload.ts'

test('uploads begin while others end and take the empty directory away', async () => {
  const path = await mkdtemp(join(tmpdir(), 'millrace-upload-'))
  await using root = await openRootDirectory(path, canOpenByDescriptor)
  const uploadMany = async () => {
    for (let index = 0; index < 200; index++) {
      await using upload = await createUpload(root)
      await upload.handle.write('x')
    }
  }

  await Promise.all([uploadMany(), uploadMany(), uploadMany(), uploadMany()])

  expect(await readdir(path)).toEqual([])
  await rm(path, { recursive: true })
})
