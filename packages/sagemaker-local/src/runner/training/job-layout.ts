import { chmod, chown, lchown, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Channel } from '../../operations/training-job-input.ts'
import type { HostConfig } from './job-environment.ts'
import { resourceConfig } from './job-environment.ts'
import type { TrainingJobDocument } from './training-job.ts'

/** The folder of one attempt of a job, and in it of each of its instances. */
export function hostDirectory(jobDirectory: string, attempt: number, host: string): string {
  return join(jobDirectory, `attempt-${attempt}`, host)
}

const FOLDERS = [
  'ml/input/config',
  'ml/input/data',
  'ml/code',
  'ml/model',
  'ml/output/data',
  'ml/output/intermediate',
  'ml/checkpoints',
  'tmp',
  'pipes',
]

/** Makes the folders of an instance and writes the files of configuration that every job finds. */
export async function writeLayout(
  directory: string,
  document: TrainingJobDocument,
  host: HostConfig,
): Promise<void> {
  for (const folder of FOLDERS) await mkdir(join(directory, folder), { recursive: true })
  const config = join(directory, 'ml', 'input', 'config')
  const files = {
    'hyperparameters.json': document.HyperParameters ?? {},
    'resourceconfig.json': resourceConfig(host),
    'inputdataconfig.json': inputDataConfig(document),
  }
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(config, name), JSON.stringify(content))
  }
}

/** What `inputdataconfig.json` says of each channel. */
export function inputDataConfig(document: TrainingJobDocument): Record<string, object> {
  const channels = document.InputDataConfig ?? []
  return Object.fromEntries(
    channels.map((channel) => [
      channel.ChannelName,
      {
        ...(channel.ContentType === undefined ? {} : { ContentType: channel.ContentType }),
        TrainingInputMode: inputMode(channel, document),
        S3DistributionType:
          channel.DataSource.S3DataSource?.S3DataDistributionType ?? 'FullyReplicated',
        RecordWrapperType: channel.RecordWrapperType ?? 'None',
      },
    ]),
  )
}

export function inputMode(channel: Channel, document: TrainingJobDocument) {
  return channel.InputMode ?? document.AlgorithmSpecification.TrainingInputMode
}

/** Gives a tree to a user; what is read only is closed to writing first. */
export async function giveTree(
  directory: string,
  userId: number | undefined,
  isReadOnly: (path: string) => boolean,
): Promise<void> {
  const visit = async (path: string): Promise<void> => {
    for (const entry of await readdir(path, { withFileTypes: true })) {
      const inner = join(path, entry.name)
      if (entry.isDirectory()) await visit(inner)
      else if (userId !== undefined) await lchown(inner, userId, userId)
      if (entry.isFile() && isReadOnly(inner)) await chmod(inner, 0o444)
    }
    if (userId !== undefined) await chown(path, userId, userId)
  }
  await visit(directory)
}
