import { spawnSync } from 'node:child_process'
import { lstat, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { invalid } from '@millrace/api/errors'
import { lockFile } from '@millrace/scoring/environment-lock'
import { list, type ReadEntry } from 'tar'
import { z } from 'zod'
import type { ImageStore } from '../../registry/image-store.ts'
import { locateImage } from '../../registry/images.ts'
import { RegistryError } from '../../registry/registry-error.ts'

/** An image of the registry as files, and how it wants to be started. */
export interface UnpackedImage {
  /** The root of its file system; other jobs have it too, so nobody writes to it. */
  root: string
  entrypoint: string[]
  environment: Record<string, string>
  workingDirectory: string
}

const Config = z.object({
  config: z
    .object({
      Entrypoint: z.array(z.string()).nullish(),
      Env: z.array(z.string()).nullish(),
      WorkingDir: z.string().nullish(),
    })
    .nullish(),
})

const REMOVED = '.wh.'
const ALL_REMOVED = '.wh..wh..opq'

/**
 * Unpacks an image once, whoever asks for it, into a folder named by its digest.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when it is not there or a layer would be written outside
 */
export async function unpackImage(
  store: ImageStore,
  { repository, reference }: { repository: string; reference: string },
  directory: string,
): Promise<UnpackedImage> {
  const image = locate(store, repository, reference)
  const folder = join(directory, image.digest.replace(':', '-'))
  const root = join(folder, 'root')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  using _ = await lockFile(`${folder}.lock`, () => undefined)
  if (!(await isThere(folder))) {
    const partial = `${folder}.partial`
    await rm(partial, { recursive: true, force: true })
    await mkdir(join(partial, 'root'), { recursive: true })
    for (const { file } of image.layers) await addLayer(file, join(partial, 'root'))
    await rename(partial, folder)
  }
  const { config } = Config.parse(JSON.parse(await readFile(image.configFile, 'utf8')))
  return {
    root,
    entrypoint: config?.Entrypoint ?? [],
    environment: Object.fromEntries(
      (config?.Env ?? []).map((line) => {
        const at = line.indexOf('=')
        return [line.slice(0, at), line.slice(at + 1)]
      }),
    ),
    workingDirectory: config?.WorkingDir || '/',
  }
}

function locate(store: ImageStore, repository: string, reference: string) {
  try {
    return locateImage(store, repository, reference)
  } catch (error) {
    if (error instanceof RegistryError) throw invalid(error.message)
    throw error
  }
}

interface Entry {
  path: string
  link: string | undefined
}

/**
 * Adds a layer to a root: what it removes is removed first. GNU tar puts off links that lead outside
 * until all else is written; what lower layers have made is looked at here.
 */
async function addLayer(file: string, root: string): Promise<void> {
  const entries: Entry[] = []
  await list({
    file,
    onReadEntry: ({ path, linkpath, type }: ReadEntry) => {
      entries.push({ path, link: type === 'Link' ? linkpath : undefined })
    },
  })
  for (const { path, link } of entries) {
    await checkParents(root, path)
    if (link !== undefined) await checkParents(root, link)
    const name = basename(path)
    const folder = join(root, dirname(path))
    if (name === ALL_REMOVED) await rm(folder, { recursive: true, force: true })
    else if (name.startsWith(REMOVED)) {
      const removed = name.slice(REMOVED.length)
      if (['', '.', '..'].includes(removed)) {
        throw invalid(`A layer of the image removes '${path}', which names no file.`)
      }
      await rm(join(folder, removed), { recursive: true, force: true })
    }
  }
  const { status, stderr } = spawnSync(
    'tar',
    ['-x', '-p', '--no-same-owner', `--exclude=${REMOVED}*`, '-f', file, '-C', root],
    { encoding: 'utf8' },
  )
  if (status !== 0)
    throw invalid(`A layer of the image cannot be unpacked: ${stderr.slice(0, 500)}`)
}

/** The folders that lead to a path are folders, not links that a lower layer has made. */
async function checkParents(root: string, path: string): Promise<void> {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..')) throw invalid(`A layer of the image has the path '${path}'.`)
  let at = root
  for (const part of parts.slice(0, -1)) {
    at = join(at, part)
    const found = await lstat(at).catch(() => undefined)
    if (!found) return
    if (!found.isDirectory()) {
      throw invalid(`A layer of the image writes '${path}' through '${part}', which is no folder.`)
    }
  }
}

async function isThere(folder: string): Promise<boolean> {
  return lstat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
