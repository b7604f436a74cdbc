import type { Stats } from 'node:fs'
import { cp, lstat, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { create, type ReadEntry } from 'tar'
import type { ObjectStore } from '../../s3/object-store.ts'
import { parseS3Uri, uploadDirectory, uploadFile } from '../../s3/object-transfer.ts'
import { findOwnPath } from './own-path.ts'
import type { TrainingJobDocument } from './training-job.ts'

/** Where the model of a job will be, whether it gets there or not. */
export function modelUri(
  document: Pick<TrainingJobDocument, 'OutputDataConfig' | 'TrainingJobName'>,
) {
  const { S3OutputPath, CompressionType } = document.OutputDataConfig
  const folder = `${S3OutputPath.replace(/\/+$/, '')}/${document.TrainingJobName}/output`
  return CompressionType === 'NONE' ? `${folder}/model/` : `${folder}/model.tar.gz`
}

/**
 * Uploads what the instances of a job have left in `model` and `output/data`: as one archive each,
 * with the contents of the folder at its top, or as they are when the client wants no compression.
 * Files of the same name of several instances take each other's place. What is no folder of the job's
 * own any more, removed or a link to elsewhere, counts as empty.
 */
export async function uploadOutputs(
  store: ObjectStore,
  document: TrainingJobDocument,
  hosts: { directory: string }[],
  { hasModel }: { hasModel: boolean },
): Promise<void> {
  const model = modelUri(document)
  const output = model.replace(/model(\.tar\.gz|\/)$/, '')
  const isPacked = document.OutputDataConfig.CompressionType !== 'NONE'
  const kinds = [
    ...(hasModel ? [{ folder: 'ml/model', name: 'model', isAlwaysThere: true }] : []),
    { folder: 'ml/output/data', name: 'output', isAlwaysThere: false },
  ]
  for (const { folder, name, isAlwaysThere } of kinds) {
    const found = await Promise.all(hosts.map(({ directory }) => findOwnPath(directory, folder)))
    const [first, ...others] = found.filter((path) => path !== undefined)
    for (const other of others) {
      if (first) await cp(other, first, { recursive: true, filter: isPlain })
    }
    const names = first === undefined ? [] : await readdir(first)
    if (names.length === 0 && !isAlwaysThere) continue
    // Not where the job could have put a link for us to write through.
    const scratch = await mkdtemp(join(hosts[0]?.directory ?? '', 'upload-'))
    const content = first ?? (await mkdtemp(join(scratch, 'empty-')))
    try {
      if (isPacked) {
        const file = join(scratch, `${name}.tar.gz`)
        await pack(file, content, names)
        await uploadFile(store, file, parseS3Uri(`${output}${name}.tar.gz`))
      } else {
        const place = `${output}${name === 'model' ? 'model' : 'data'}`
        await uploadDirectory(store, content, parseS3Uri(place))
      }
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  }
}

/** Links may lead anywhere, and are left out as devices and pipes are. */
async function isPlain(path: string): Promise<boolean> {
  const found = await lstat(path)
  return found.isFile() || found.isDirectory()
}

/** An archive with the contents of a folder at its top. */
async function pack(file: string, folder: string, names: string[]): Promise<void> {
  // A name that begins with @ would be taken for another archive to be put in.
  const paths = names.length === 0 ? ['.'] : names.sort().map((name) => `./${name}`)
  const filter = (_path: string, entry: Stats | ReadEntry) =>
    !('isFile' in entry) || entry.isFile() || entry.isDirectory()
  await create({ file, gzip: true, cwd: folder, portable: true, filter }, paths)
}
