import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ImagePart } from '@millrace/sagemaker/images/bill-of-materials'
import type { LayerEntry } from '@millrace/sagemaker/images/image-layer'
import { folderEntries } from './images-contents.ts'
import type { Architecture } from './images-definition.ts'
import { runTool } from './images-program.ts'

/** The Python of Debian 12, and where it looks for what was installed beside it. */
const VERSION = '3.11'
const PLACE = `usr/local/lib/python${VERSION}/dist-packages`
const PLATFORMS = { amd64: 'x86_64-manylinux_2_28', arm64: 'aarch64-manylinux_2_28' } as const

/**
 * Python distributions with what they need, for an architecture that need not be this machine's.
 * uv installs them from wheels; nothing of them is run. Of programs, only uv itself is taken.
 */
export async function fetchPython(
  requirements: string[],
  architecture: Architecture,
  cache: string,
): Promise<{ entries: LayerEntry[]; parts: ImagePart[] }> {
  if (requirements.length === 0) return { entries: [], parts: [] }
  const key = createHash('sha256')
    .update(JSON.stringify([requirements, VERSION]))
    .digest('hex')
  const folder = join(cache, 'python', `${architecture}-${key.slice(0, 16)}`)
  if (!existsSync(folder)) await install(requirements, architecture, folder)
  const names = await readdir(folder)
  const parts = names.flatMap((name) => {
    const [, distribution, version] = /^(.+)-([^-]+)\.dist-info$/.exec(name) ?? []
    if (!distribution || !version) return []
    const normal = distribution.toLowerCase().replaceAll(/[-_.]+/g, '-')
    return [{ name: normal, version, purl: `pkg:pypi/${normal}@${version}` }]
  })
  const all = await folderEntries(folder, PLACE, /^[^.]/)
  const entries = all.filter(({ path }) => !path.startsWith(`${PLACE}/bin/`))
  const uv = all.find(({ path }) => path === `${PLACE}/bin/uv`)
  return { entries: uv ? [...entries, { ...uv, path: 'usr/local/bin/uv' }] : entries, parts }
}

async function install(requirements: string[], architecture: Architecture, folder: string) {
  const unfinished = `${folder}.unfinished`
  await rm(unfinished, { recursive: true, force: true })
  await runTool(
    'uv',
    [
      'pip',
      'install',
      '--quiet',
      '--target',
      unfinished,
      '--python-platform',
      PLATFORMS[architecture],
      '--python-version',
      VERSION,
      '--only-binary',
      ':all:',
      ...requirements,
    ],
    { advice: 'The Python packages of an image are fetched by uv (https://docs.astral.sh/uv).' },
  )
  await rename(unfinished, folder)
}
