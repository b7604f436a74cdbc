import { cp, mkdir, mkdtemp, readdir, realpath, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { invalid } from '@millrace/api/errors'
import { fetchRemote, type RemoteOptions } from '../remote-files.ts'
import { unpackZip } from '../zip-source.ts'
import { unpackTar } from './tar-archive.ts'

/**
 * Puts the code that was submitted with a job into a directory, unless something is there already:
 * an archive or a directory in S3, at `file://` or at a path.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when there is no code, or it cannot be unpacked
 */
export async function placeCode(
  uri: string | undefined,
  directory: string,
  options: RemoteOptions,
): Promise<void> {
  await mkdir(directory, { recursive: true })
  if ((await readdir(directory)).length > 0) return
  if (uri === undefined || uri === '') {
    throw invalid(
      `There is no code in ${directory}: give its place as hyperparameter sagemaker_submit_directory.`,
    )
  }
  const folder = await mkdtemp(join(await realpath(tmpdir()), 'millrace-code-'))
  try {
    const path = /^(?:s3|https?):/.test(uri)
      ? await fetchRemote(uri, folder, options)
      : uri.startsWith('file://')
        ? fileURLToPath(uri)
        : uri
    await unpack(path, uri, directory)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function unpack(path: string, uri: string, directory: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (!found) throw invalid(`There is no code at '${uri}'.`)
  if (found.isDirectory()) {
    const archives = (await readdir(path)).filter((name) => /\.tar\.gz$|\.tgz$/.test(name))
    const [archive, ...others] = archives
    // A prefix that holds one archive is how an SDK uploads it.
    const isUpload =
      archive !== undefined && others.length === 0 && (await readdir(path)).length === 1
    if (isUpload) await unpackTar(join(path, archive), directory)
    else await cp(path, directory, { recursive: true })
  } else if (path.endsWith('.zip')) await unpackZip(path, directory)
  else await unpackTar(path, directory)
}
