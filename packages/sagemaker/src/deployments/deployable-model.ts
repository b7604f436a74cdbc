import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { GetObjectCommand, paginateListObjectsV2, type S3Client } from '@aws-sdk/client-s3'
import { ApiError, invalid, notFound } from '@millrace/api/errors'
import { fetchModel } from '@millrace/models/fetch-model'
import { type Model, readModel } from '@millrace/models/mlmodel'
import type { TrackingServer } from '@millrace/models/tracking-server'
import { extract } from 'tar'
import { findVersion, type ModelVersionId, versionSource } from './model-version.ts'

/** A model on this machine that SageMaker can be given; disposing it removes what was fetched. */
export interface DeployableModel extends AsyncDisposable {
  uri: string
  directory: string
  flavor: string
  mlmodel: Model
  /** The registered version that the URI names, if it names one. */
  version: ModelVersionId | undefined
}

export interface ModelQuestion {
  uri: string
  /** Chosen by the model when nobody chooses. */
  flavor: string | undefined
  tracking: TrackingServer | undefined
  s3: S3Client
}

/** The only flavour that SageMaker is given (MLflow 3.17 `SUPPORTED_DEPLOYMENT_FLAVORS`). */
const FLAVOR = 'python_function'

/**
 * Fetches a model: what `models:/`, `runs:/` and paths name, and what lies in S3, as a directory or
 * as the `model.tar.gz` of a training job.
 *
 * @throws ApiError when there is no such model, or none that SageMaker can serve
 */
export async function openDeployableModel(question: ModelQuestion): Promise<DeployableModel> {
  const { uri, tracking, s3 } = question
  const version = await findVersion(uri, tracking)
  const source = version && tracking ? await versionSource(version, tracking) : uri
  await using fetched = new AsyncDisposableStack()
  const { directory } = fetched.use(
    source.startsWith('s3://')
      ? await fetchFromS3(source, s3)
      : await fetchModel(source.startsWith('runs:/') ? source : uri, tracking),
  )
  const mlmodel = await readModel(directory)
  const flavor = checkFlavor(mlmodel, question.flavor)
  const kept = fetched.move()
  return {
    uri,
    directory,
    flavor,
    mlmodel,
    version,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

function checkFlavor({ flavors }: Model, wanted: string | undefined): string {
  const names = Object.keys(flavors).join(', ')
  if (wanted !== undefined && wanted !== FLAVOR) {
    throw invalid(
      `The specified flavor: \`${wanted}\` is not supported for deployment. Please use one of the ` +
        `supported flavors: ${FLAVOR}`,
    )
  }
  if (FLAVOR in flavors) return FLAVOR
  throw new ApiError(
    'RESOURCE_DOES_NOT_EXIST',
    'The specified model does not contain any of the supported flavors for deployment. The model ' +
      `contains the following flavors: ${names}. Supported flavors: ${FLAVOR}`,
  )
}

async function fetchFromS3(uri: string, s3: S3Client) {
  const [, Bucket, key = ''] = /^s3:\/\/([^/]+)\/(.*)$/.exec(uri) ?? []
  if (!Bucket) throw invalid(`Invalid model URI: '${uri}'.`)
  const directory = await mkdtemp(join(await realpath(tmpdir()), 'millrace-model-'))
  await using undo = new AsyncDisposableStack()
  undo.defer(() => rm(directory, { recursive: true, force: true }))
  if (/\.(tar\.gz|tgz)$/.test(key)) await unpack(s3, Bucket, key, directory)
  else await copyFiles(s3, Bucket, key.replace(/\/+$/, ''), directory)
  const kept = undo.move()
  return { directory, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

async function unpack(s3: S3Client, Bucket: string, Key: string, cwd: string): Promise<void> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }))
  if (!(Body instanceof Readable)) throw notFound(`s3://${Bucket}/${Key} is empty.`)
  const isPlain = (entry: object) =>
    !('type' in entry) || entry.type === 'File' || entry.type === 'Directory'
  await pipeline(Body, extract({ cwd, strict: true, filter: (_path, entry) => isPlain(entry) }))
}

async function copyFiles(
  s3: S3Client,
  Bucket: string,
  prefix: string,
  directory: string,
): Promise<void> {
  let count = 0
  for await (const page of paginateListObjectsV2(
    { client: s3 },
    { Bucket, Prefix: `${prefix}/` },
  )) {
    for (const { Key = '' } of page.Contents ?? []) {
      const segments = Key.slice(prefix.length + 1).split('/')
      if (segments.at(-1) === '') continue
      if (segments.some((name) => /^\.{0,2}$/.test(name) || /[\\\0]/.test(name))) {
        throw invalid(`The object s3://${Bucket}/${Key} cannot be a file of a model.`)
      }
      const file = join(directory, ...segments)
      await mkdir(dirname(file), { recursive: true })
      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }))
      if (Body instanceof Readable) await pipeline(Body, createWriteStream(file))
      count += 1
    }
  }
  if (count === 0) throw notFound(`There are no objects below s3://${Bucket}/${prefix}/.`)
}
