import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import {
  billOfMaterials,
  type ImagePart,
  partsOfLock,
} from '@millrace/sagemaker/images/bill-of-materials'
import type { LayerEntry } from '@millrace/sagemaker/images/image-layer'
import {
  type Descriptor,
  type ImageConfig,
  type ImageManifest,
  readBlob,
  writeLayout,
} from '@millrace/sagemaker/images/oci-layout'
import { attachBill, writeImage, writeImageIndex } from '@millrace/sagemaker/images/write-image'
import { codeEntries } from './images-code.ts'
import { nodeEntries, programEntries, readLock, systemEntries } from './images-contents.ts'
import { fetchDebianBase } from './images-debian.ts'
import {
  type Architecture,
  checkout,
  type ImageDefinition,
  type ImageName,
  readImageDefinition,
} from './images-definition.ts'
import { fetchPython } from './images-python.ts'

export interface ImageBuild {
  name: ImageName
  /** The folder of the OCI layout that is made; what was there is replaced. */
  output: string
  tag: string
  /** A directory whose files go to /opt/program. */
  code?: string | undefined
  /** Instead of those of the definition. */
  architectures?: Architecture[] | undefined
}

export interface BuiltImage {
  digest: string
  /** Compressed bytes that a machine of each architecture pulls. */
  sizes: { architecture: Architecture; bytes: number }[]
}

/** Where apt's lists, packages and compressed layers are kept between builds. */
const CACHE = join(checkout, '.cache', 'images')

/**
 * Builds an image as an OCI layout with a bill of materials beside it and attached to it. The
 * layout appears when it is whole.
 */
export async function buildImage({
  name,
  code,
  output,
  tag,
  architectures,
}: ImageBuild): Promise<BuiltImage> {
  const { definition, folder } = readImageDefinition(name)
  const lock = await readLock()
  const program = await programEntries()
  const local = await localEntries(definition, folder)
  const added = code === undefined ? undefined : await codeEntries(code)
  const layout = resolve(output)
  const unfinished = `${layout}.unfinished`
  await rm(unfinished, { recursive: true, force: true })
  try {
    const images: Descriptor[] = []
    const parts: ImagePart[] = partsOfLock(lock, 'packages/cli')
    for (const architecture of architectures ?? definition.architectures) {
      const base = await fetchDebianBase(definition.debian, architecture, CACHE)
      const node = await nodeEntries(architecture, lock, CACHE)
      const python = await fetchPython(definition.python, architecture, CACHE)
      parts.push(...base.parts, node.part, ...python.parts)
      const layers = [
        { name: 'Debian packages', entries: base.entries },
        { name: `Node ${node.part.version}`, entries: node.entries },
        ...(python.entries.length > 0
          ? [{ name: 'Python packages', entries: python.entries }]
          : []),
        { name: 'system files', entries: [...systemEntries(definition.user), ...local] },
        { name: 'Millrace', entries: program },
        ...(added ? [{ name: 'code', entries: added }] : []),
      ]
      const platform = { architecture, layers, config: configOf(definition) }
      images.push(await writeImage(unfinished, platform, join(CACHE, 'layers')))
    }
    const bill = billOfMaterials({ name: definition.name, version: tag }, distinct(parts))
    const image = await topOf(unfinished, images, definition, tag)
    const attached = await attachBill(unfinished, image, bill)
    await writeLayout(unfinished, [image, attached], tag)
    await writeFile(join(unfinished, 'sbom.cdx.json'), `${JSON.stringify(bill, null, 2)}\n`)
    await refuseOther(layout)
    await rm(layout, { recursive: true, force: true })
    await rename(unfinished, layout)
    return { digest: image.digest, sizes: await sizesOf(layout, images) }
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

/** One image for several processors; that of a single one stands alone, because SageMaker takes no index. */
async function topOf(
  layout: string,
  images: Descriptor[],
  { name, description }: ImageDefinition,
  tag: string,
): Promise<Descriptor> {
  const [only, ...others] = images
  if (only && others.length === 0) return only
  return writeImageIndex(layout, images, {
    'org.opencontainers.image.title': name,
    'org.opencontainers.image.description': description,
    'org.opencontainers.image.version': tag,
  })
}

/** A folder of somebody's work must not be replaced because its name was mistyped. */
async function refuseOther(layout: string): Promise<void> {
  const exists = await stat(layout).catch(() => undefined)
  const isLayout = await stat(join(layout, 'oci-layout')).catch(() => undefined)
  if (exists && !isLayout) throw new Error(`${layout} exists and is no OCI layout: name another.`)
}

async function localEntries(
  { directories, files }: ImageDefinition,
  folder: string,
): Promise<LayerEntry[]> {
  const read = files.map(async ({ path, from, mode }): Promise<LayerEntry> => {
    return { kind: 'file', path, mode, bytes: await readFile(join(folder, from)) }
  })
  return [
    ...directories.map(
      ({ path, mode, user }): LayerEntry => ({ kind: 'directory', path, mode, uid: user }),
    ),
    ...(await Promise.all(read)),
  ]
}

const NANOSECONDS = 1_000_000_000

function configOf(definition: ImageDefinition): ImageConfig['config'] {
  const { healthCheck, labels, ports, volumes } = definition
  return {
    User: `${definition.user}:${definition.user}`,
    Env: Object.entries(definition.environment).map(([name, value]) => `${name}=${value}`),
    Entrypoint: definition.entrypoint,
    Cmd: definition.command,
    WorkingDir: definition.workingDirectory,
    ExposedPorts: Object.fromEntries(ports.map((port) => [`${port}/tcp`, {}])),
    Volumes: Object.fromEntries(volumes.map((path) => [path, {}])),
    Labels: { 'org.opencontainers.image.title': definition.name, ...labels },
    StopSignal: 'SIGTERM',
    ...(healthCheck && {
      Healthcheck: {
        Test: ['CMD', ...healthCheck.command],
        Interval: healthCheck.intervalSeconds * NANOSECONDS,
        Timeout: healthCheck.timeoutSeconds * NANOSECONDS,
        StartPeriod: healthCheck.startSeconds * NANOSECONDS,
      },
    }),
  }
}

function distinct(parts: ImagePart[]): ImagePart[] {
  return [...new Map(parts.map((part) => [part.purl, part])).values()]
}

async function sizesOf(layout: string, images: Descriptor[]): Promise<BuiltImage['sizes']> {
  return Promise.all(
    images.map(async ({ digest, platform }) => {
      const { layers } = await readBlob<ImageManifest>(layout, digest)
      const bytes = layers.reduce((sum, { size }) => sum + size, 0)
      return { architecture: platform?.architecture === 'arm64' ? 'arm64' : 'amd64', bytes }
    }),
  )
}
