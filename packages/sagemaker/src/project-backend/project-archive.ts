import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { invalid } from '@millrace/api/errors'
import { create } from 'tar'

/** What is made by tools and found anew where the project runs. */
const LEFT_OUT = new Set([
  '.git',
  '.venv',
  '__pycache__',
  '.ipynb_checkpoints',
  'mlruns',
  '.DS_Store',
])

/**
 * Packs the files of a project; the same files give the same bytes, whenever they were written.
 * A link is what it leads to.
 *
 * @returns the SHA-256 of the archive
 * @throws ApiError INVALID_PARAMETER_VALUE for what a training container refuses: links that lead out
 */
export async function packProject(directory: string, archive: string): Promise<string> {
  const root = await realpath(directory)
  const paths = await pathsBelow(root, '', [root])
  const options = {
    cwd: root,
    file: archive,
    gzip: true,
    // Neither owners nor times of this machine.
    portable: true,
    mtime: new Date(0),
    follow: true,
    noDirRecurse: true,
  }
  await create(options, paths)
  const hash = createHash('sha256')
  await pipeline(createReadStream(archive), hash)
  return hash.digest('hex')
}

/** Paths in the order of their names; `above` are the directories that a link must not lead into. */
async function pathsBelow(root: string, folder: string, above: string[]): Promise<string[]> {
  const paths: string[] = []
  const entries = await readdir(join(root, folder), { withFileTypes: true })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (LEFT_OUT.has(entry.name)) continue
    const path = join(folder, entry.name)
    const target = entry.isSymbolicLink() ? await targetOf(root, path) : join(root, path)
    const found = await stat(target)
    if (found.isDirectory()) {
      if (above.includes(target)) throw invalid(`The link ${path} leads to a folder it is in.`)
      paths.push(`./${path}/`, ...(await pathsBelow(root, path, [...above, target])))
    } else if (found.isFile()) paths.push(`./${path}`)
  }
  return paths
}

async function targetOf(root: string, path: string): Promise<string> {
  const target = await realpath(join(root, path)).catch(() => undefined)
  if (target !== undefined && (target === root || target.startsWith(root + sep))) return target
  throw invalid(
    `The link ${path} leads ${target === undefined ? 'nowhere' : `to ${target}`}, which is not in ` +
      'the project: a training job gets the files of the project alone.',
  )
}
