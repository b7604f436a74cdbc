import { createHash } from 'node:crypto'

/** A part of an image, by its package URL such as `pkg:npm/fastify@5.12.8`. */
export interface ImagePart {
  name: string
  version: string
  purl: string
  /** Subresource integrity of the lock file, such as `sha512-…`. */
  integrity?: string | undefined
  license?: string | undefined
}

/** What a package lock file says, as far as it is read here (npm lock file version 3). */
export interface PackageLock {
  packages: Record<string, LockedPackage>
}

interface LockedPackage {
  name?: string
  version?: string
  integrity?: string
  license?: string
  link?: boolean
  resolved?: string
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
}

export const BILL_TYPE = 'application/vnd.cyclonedx+json'

/**
 * The npm packages that the workspace package at `from` (such as `packages/cli`) needs when it
 * runs, as npm would find them from there; workspace packages are walked through and left out.
 */
export function partsOfLock({ packages }: PackageLock, from: string): ImagePart[] {
  const found = new Map<string, ImagePart>()
  const seen = new Set<string>()
  const waiting = [from]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue
    seen.add(path)
    const entry = packages[path]
    if (!entry) continue
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    if (path.includes('node_modules/') && entry.version) {
      const purl = `pkg:npm/${name.replace('@', '%40')}@${entry.version}`
      const { version, integrity, license } = entry
      found.set(purl, { name, version, purl, integrity, license })
    }
    for (const needed of Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })) {
      const place = findPackage(packages, path, needed)
      if (place) waiting.push(place)
    }
  }
  return [...found.values()].sort((a, b) => (a.purl < b.purl ? -1 : 1))
}

/** Where npm finds a package: in the nearest `node_modules` going up; a link is followed. */
function findPackage(
  packages: PackageLock['packages'],
  path: string,
  name: string,
): string | undefined {
  for (let folder = path; ; folder = folder.replace(/\/?[^/]*$/, '')) {
    const place = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`
    const entry = packages[place]
    if (entry) return entry.link ? entry.resolved : place
    if (folder === '') return undefined
  }
}

/**
 * A bill of materials in CycloneDX 1.6 JSON. It holds no date and no random number, so the same
 * parts give the same document.
 */
export function billOfMaterials(image: { name: string; version: string }, parts: ImagePart[]) {
  const components = parts.map(({ name, version, purl, integrity, license }) => ({
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    ...(integrity && { hashes: [toHash(integrity)] }),
    ...(license && { licenses: [{ license: { name: license } }] }),
  }))
  const hex = createHash('sha256')
    .update(JSON.stringify([image, components]))
    .digest('hex')
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${toUuid(hex)}`,
    version: 1,
    metadata: { component: { type: 'container', ...image } },
    components,
  }
}

function toHash(integrity: string) {
  const [algorithm = '', value = ''] = integrity.split(' ')[0]?.split('-', 2) ?? []
  return {
    alg: algorithm.replace('sha', 'SHA-'),
    content: Buffer.from(value, 'base64').toString('hex'),
  }
}

/** A UUID of version 8 (RFC 9562) with the bits of a hash. */
function toUuid(hex: string): string {
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`]
  return [...parts, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-')
}
