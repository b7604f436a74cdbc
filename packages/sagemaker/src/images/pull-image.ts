import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { access, mkdir, rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { ApiError, invalid } from '@millrace/api/errors'
import {
  addBlob,
  blobFile,
  blobsOf,
  type Descriptor,
  digestOf,
  type ImageConfig,
  type ImageIndex,
  type ImageManifest,
  isIndex,
  MANIFEST_TYPE,
  MANIFEST_TYPES,
  readBlob,
} from './oci-layout.ts'
import type { CallRegistry } from './registry-client.ts'

export interface ImagePull {
  repository: string
  /** A tag or a digest. */
  reference: string
  /** `amd64` or `arm64`. */
  architecture: string
  /** The layout that gets the blobs; its index is left as it is. */
  layout: string
}

export interface PulledImage {
  descriptor: Descriptor
  manifest: ImageManifest
  config: ImageConfig
}

/**
 * Pulls the image of one architecture. Every blob is checked against its digest before it gets its
 * name; blobs that the layout has are not asked for again.
 *
 * @throws ApiError when there is no image for the architecture, or what arrives is not what was named
 */
export async function pullImage(call: CallRegistry, pull: ImagePull): Promise<PulledImage> {
  const top = await pullManifest(call, pull, pull.reference)
  const descriptor = isIndex(top) ? await pullOf(call, pull, top) : top
  const manifest = await readBlob<ImageManifest>(pull.layout, descriptor.digest)
  await Promise.all([manifest.config, ...manifest.layers].map((blob) => pullBlob(call, pull, blob)))
  const config = await readBlob<ImageConfig>(pull.layout, manifest.config.digest)
  if (config.architecture !== pull.architecture) throw wrongArchitecture(pull, config.architecture)
  return { descriptor, manifest, config }
}

async function pullOf(call: CallRegistry, pull: ImagePull, index: Descriptor): Promise<Descriptor> {
  const { manifests } = await readBlob<ImageIndex>(pull.layout, index.digest)
  const chosen = manifests.find(
    ({ platform }) => platform?.os === 'linux' && platform.architecture === pull.architecture,
  )
  if (!chosen) {
    const there = manifests.map(({ platform }) => platform?.architecture ?? 'unknown')
    throw wrongArchitecture(pull, there.join(', '))
  }
  return pullManifest(call, pull, chosen.digest)
}

async function pullManifest(
  call: CallRegistry,
  { repository, layout }: ImagePull,
  reference: string,
): Promise<Descriptor> {
  const answer = await call({
    method: 'GET',
    path: `/v2/${repository}/manifests/${reference}`,
    headers: { accept: MANIFEST_TYPES },
    scope: `repository:${repository}:pull`,
    expected: [200],
  })
  const bytes = Buffer.from(await answer.arrayBuffer())
  if (reference.startsWith('sha256:') && digestOf(bytes) !== reference) {
    throw damaged(repository, reference)
  }
  const mediaType = answer.headers.get('content-type')?.split(';')[0] ?? MANIFEST_TYPE
  return addBlob(layout, bytes, mediaType)
}

async function pullBlob(
  call: CallRegistry,
  { repository, layout }: ImagePull,
  { digest }: Descriptor,
): Promise<void> {
  const file = blobFile(layout, digest)
  const isThere = await access(file).then(
    () => true,
    () => false,
  )
  if (isThere) return
  const answer = await call({
    method: 'GET',
    path: `/v2/${repository}/blobs/${digest}`,
    scope: `repository:${repository}:pull`,
    expected: [200],
  })
  if (!answer.body) throw damaged(repository, digest)
  await mkdir(blobsOf(layout), { recursive: true })
  const unfinished = `${file}.${process.pid}.partial`
  const hash = createHash('sha256')
  try {
    await pipeline(
      answer.body as AsyncIterable<Uint8Array>,
      async function* (chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          hash.update(chunk)
          yield chunk
        }
      },
      createWriteStream(unfinished),
    )
    if (`sha256:${hash.digest('hex')}` !== digest) throw damaged(repository, digest)
    await rename(unfinished, file)
  } finally {
    await rm(unfinished, { force: true })
  }
}

function damaged(repository: string, digest: string): ApiError {
  return new ApiError(
    'INVALID_STATE',
    `What the registry sent as ${digest} of ${repository} is something else`,
  )
}

function wrongArchitecture({ repository, reference, architecture }: ImagePull, there: string) {
  return invalid(`${repository}:${reference} is for ${there}, not for ${architecture}`)
}
