import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { invalid } from '@millrace/api/errors'

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
export const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json'
/** What a manifest may come as. */
export const MANIFEST_TYPES = [
  INDEX_TYPE,
  MANIFEST_TYPE,
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')
export const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json'

/** Where a blob is and what it holds (OCI image specification 1.1, "descriptor"). */
export interface Descriptor {
  mediaType: string
  digest: string
  size: number
  platform?: { os: string; architecture: string }
  artifactType?: string
  annotations?: Record<string, string>
}

export interface ImageManifest {
  schemaVersion: 2
  mediaType: string
  artifactType?: string
  config: Descriptor
  layers: Descriptor[]
  subject?: Descriptor
  annotations?: Record<string, string>
}

export interface ImageIndex {
  schemaVersion: 2
  mediaType: string
  manifests: Descriptor[]
  annotations?: Record<string, string>
}

/** What a container of the image is started with (OCI image specification 1.1, "config"). */
export interface ImageConfig {
  architecture: string
  os: 'linux'
  config: {
    User?: string
    Env?: string[]
    Entrypoint?: string[]
    Cmd?: string[]
    WorkingDir?: string
    ExposedPorts?: Record<string, Record<string, never>>
    Volumes?: Record<string, Record<string, never>>
    Labels?: Record<string, string>
    StopSignal?: string
    /** Docker's addition, which Docker, Podman and ECS read; times are in nanoseconds. */
    Healthcheck?: { Test: string[]; Interval: number; Timeout: number; StartPeriod: number }
  }
  rootfs: { type: 'layers'; diff_ids: string[] }
  history?: { created_by: string }[]
}

const REF_NAME = 'org.opencontainers.image.ref.name'

/** The folder of a layout's blobs, each named by the hexadecimal part of its digest. */
export function blobsOf(layout: string): string {
  return join(layout, 'blobs', 'sha256')
}

/** The file of a blob. @throws ApiError for a digest that is not one of SHA-256 */
export function blobFile(layout: string, digest: string): string {
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw invalid(`'${digest}' is not a SHA-256 digest`)
  return join(blobsOf(layout), digest.slice('sha256:'.length))
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** Adds bytes to a layout, or JSON as it is written by `JSON.stringify`, and says where they are. */
export async function addBlob(
  layout: string,
  content: Buffer | object,
  mediaType: string,
): Promise<Descriptor> {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content))
  const digest = digestOf(bytes)
  await mkdir(blobsOf(layout), { recursive: true })
  await writeFile(blobFile(layout, digest), bytes)
  return { mediaType, digest, size: bytes.length }
}

/** Ends a layout: `images` are what it holds, the first one under the name `tag`. */
export async function writeLayout(
  layout: string,
  images: Descriptor[],
  tag: string,
): Promise<void> {
  const index: ImageIndex = {
    schemaVersion: 2,
    mediaType: INDEX_TYPE,
    manifests: images.map((image, position) =>
      position === 0 ? { ...image, annotations: { ...image.annotations, [REF_NAME]: tag } } : image,
    ),
  }
  await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  await writeFile(join(layout, 'index.json'), JSON.stringify(index, null, 2))
}

/**
 * What the layout holds, the image first.
 *
 * @throws ApiError when the folder is no OCI layout
 */
export async function readLayout(layout: string): Promise<Descriptor[]> {
  const text = await readFile(join(layout, 'index.json'), 'utf8').catch(() => undefined)
  if (text === undefined) {
    throw invalid(
      `'${layout}' holds no OCI image (no index.json): make one with 'millrace images build'`,
    )
  }
  const { manifests } = JSON.parse(text) as ImageIndex
  if (manifests.length === 0) throw invalid(`'${layout}' is an OCI layout without an image`)
  return manifests
}

export async function readBlob<T>(layout: string, digest: string): Promise<T> {
  return JSON.parse(await readFile(blobFile(layout, digest), 'utf8')) as T
}

export function isIndex({ mediaType }: { mediaType: string }): boolean {
  return (
    mediaType === INDEX_TYPE ||
    mediaType === 'application/vnd.docker.distribution.manifest.list.v2+json'
  )
}

/**
 * The manifest and config of a layout's image for a processor architecture, by Docker's names
 * (`amd64`, `arm64`).
 *
 * @throws ApiError naming the architectures there are
 */
export async function readImage(
  layout: string,
  architecture: string,
): Promise<{ descriptor: Descriptor; manifest: ImageManifest; config: ImageConfig }> {
  const [top] = await readLayout(layout)
  if (!top) throw invalid(`'${layout}' is an OCI layout without an image`)
  const choices = isIndex(top) ? (await readBlob<ImageIndex>(layout, top.digest)).manifests : [top]
  for (const descriptor of choices) {
    const manifest = await readBlob<ImageManifest>(layout, descriptor.digest)
    const config = await readBlob<ImageConfig>(layout, manifest.config.digest)
    if (config.architecture === architecture) return { descriptor, manifest, config }
  }
  const there = choices.map(({ platform }) => platform?.architecture ?? 'unknown').join(', ')
  throw invalid(`The image in '${layout}' is for ${there}, not for ${architecture}`)
}
