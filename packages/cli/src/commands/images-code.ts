import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { LayerEntry } from '@millrace/sagemaker/images/image-layer'
import { folderEntries } from './images-contents.ts'

/** What SageMaker starts by name. */
const PROGRAMS = ['train', 'serve']

/**
 * The files of a directory as a layer of their own at /opt/program, on top of everything that
 * takes long: a change of the code changes this layer alone.
 *
 * @throws Error when `train` or `serve` could not be started, in the words that SageMaker lacks
 */
export async function codeEntries(directory: string): Promise<LayerEntry[]> {
  const entries = await folderEntries(resolve(directory), 'opt/program', /./).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error
      throw new Error(`--code ${directory} is no directory here: name the one that 'train' is in.`)
    },
  )
  if (entries.length === 0) throw new Error(`${directory} has no files to put into the image.`)
  for (const entry of entries) {
    const name = entry.path.replace('opt/program/', '')
    if (!PROGRAMS.includes(name) || entry.kind !== 'file' || !('source' in entry)) continue
    const [first = ''] = (await readFile(entry.source, 'latin1')).split('\n', 1)
    const isBinary = first.startsWith('\x7fELF')
    if (entry.mode !== 0o755) {
      throw new Error(
        `${entry.source} is not executable, so SageMaker could not start it: chmod +x it.`,
      )
    }
    if (first.endsWith('\r')) {
      throw new Error(
        `${entry.source} has Windows line ends (CRLF), so its first line names no program.`,
      )
    }
    if (!isBinary && !first.startsWith('#!/')) {
      throw new Error(
        `${entry.source} does not say what runs it: begin it with a line such as #!/usr/bin/env python3.`,
      )
    }
  }
  return entries
}
