import { BILL_TYPE, type billOfMaterials } from './bill-of-materials.ts'
import {
  copyBlob,
  LAYER_TYPE,
  type Layer,
  type LayerEntry,
  writeCachedLayer,
} from './image-layer.ts'
import {
  addBlob,
  blobsOf,
  CONFIG_TYPE,
  type Descriptor,
  type ImageConfig,
  type ImageIndex,
  type ImageManifest,
  INDEX_TYPE,
  MANIFEST_TYPE,
} from './oci-layout.ts'

/** A layer to make, or one that lies in another layout. */
export type LayerSource =
  | { name: string; entries: LayerEntry[] }
  | { name: string; layer: Layer; blobs: string }

export interface PlatformImage {
  architecture: 'amd64' | 'arm64'
  layers: LayerSource[]
  config: ImageConfig['config']
}

/**
 * Writes the image of one architecture into a layout.
 *
 * @param cache a folder that keeps layers between builds
 */
export async function writeImage(
  layout: string,
  { architecture, layers, config }: PlatformImage,
  cache: string,
): Promise<Descriptor> {
  const blobs = blobsOf(layout)
  const written: Layer[] = []
  for (const source of layers) {
    if ('entries' in source) written.push(await writeCachedLayer(source.entries, blobs, cache))
    else {
      await copyBlob(source.blobs, blobs, source.layer.digest)
      written.push(source.layer)
    }
  }
  const imageConfig: ImageConfig = {
    architecture,
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: written.map(({ diffId }) => diffId) },
    history: layers.map(({ name }) => ({ created_by: `millrace images build: ${name}` })),
  }
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: await addBlob(layout, imageConfig, CONFIG_TYPE),
    layers: written.map(({ digest, size }) => ({ mediaType: LAYER_TYPE, digest, size })),
  }
  const descriptor = await addBlob(layout, manifest, MANIFEST_TYPE)
  return { ...descriptor, platform: { os: 'linux', architecture } }
}

/** Writes the index that makes one image of those of several architectures. */
export async function writeImageIndex(
  layout: string,
  manifests: Descriptor[],
  annotations: Record<string, string>,
): Promise<Descriptor> {
  const index: ImageIndex = { schemaVersion: 2, mediaType: INDEX_TYPE, manifests, annotations }
  return addBlob(layout, index, INDEX_TYPE)
}

/** Attaches a bill of materials to an image, as an artifact that names the image as its subject. */
export async function attachBill(
  layout: string,
  { mediaType, digest, size }: Descriptor,
  bill: ReturnType<typeof billOfMaterials>,
): Promise<Descriptor> {
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    artifactType: BILL_TYPE,
    config: await addBlob(layout, {}, 'application/vnd.oci.empty.v1+json'),
    layers: [await addBlob(layout, bill, BILL_TYPE)],
    subject: { mediaType, digest, size },
  }
  return { ...(await addBlob(layout, manifest, MANIFEST_TYPE)), artifactType: BILL_TYPE }
}
