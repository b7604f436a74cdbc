import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { invalid } from '@millrace/api/errors'
import type { ObjectStore } from '../../s3/object-store.ts'
import { downloadObject, parseS3Uri } from '../../s3/object-transfer.ts'
import { S3Error } from '../../s3/s3-error.ts'
import { unpackArchive } from './unpack-archive.ts'

/**
 * Puts the code that `sagemaker_submit_directory` names into a folder, unless there is some in it:
 * an archive or a file in S3 (`s3://...`).
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when it is not there or cannot be unpacked
 */
export async function fetchCode(
  store: ObjectStore,
  source: string,
  code: string,
  scratch: string,
): Promise<void> {
  await mkdir(code, { recursive: true })
  if ((await readdir(code)).length > 0) return
  if (!source.startsWith('s3://')) {
    throw invalid(
      `The source code (sagemaker_submit_directory) is '${source}', which is not in S3.`,
    )
  }
  const folder = await mkdtemp(join(scratch, 'code-'))
  try {
    const location = parseS3Uri(source)
    const file = join(folder, basename(location.key) || 'source')
    await downloadObject(store, location, file).catch((cause: unknown) => {
      if (!(cause instanceof S3Error)) throw cause
      throw invalid(`The source code ${source} cannot be read: ${cause.message}`)
    })
    if (/\.(tar|tar\.gz|tgz)$/.test(file)) await unpackArchive(file, code, source)
    else await cp(file, join(code, basename(file)))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
