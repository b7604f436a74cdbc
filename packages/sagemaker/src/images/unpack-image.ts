import { createHash, type Hash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { chmod, lchown, link, lstat, mkdir, readdir, readlink, rm, symlink } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { invalid } from '@millrace/api/errors'
import { blobFile, type ImageConfig, type ImageManifest } from './oci-layout.ts'
import { readTar, type TarEntry } from './read-tar.ts'

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'
const LINKS_MAX = 40

/**
 * Lays the layers of an image over one another in a new folder, and checks every one against the
 * digest that its config states. Links are followed as they will be in the container, with the
 * folder as root, so that nothing is written outside of it; devices are left out.
 *
 * @throws ApiError when a layer is not what the config says, or names a path that climbs out
 */
export async function unpackImage(
  layout: string,
  { manifest, config }: { manifest: ImageManifest; config: ImageConfig },
  root: string,
): Promise<void> {
  await mkdir(root, { recursive: true })
  for (const [position, { digest, mediaType }] of manifest.layers.entries()) {
    if (mediaType.includes('zstd')) throw invalid(`Layer ${digest} is packed by zstd, not by gzip`)
    const diffId = await unpackLayer(blobFile(layout, digest), root)
    const expected = config.rootfs.diff_ids[position]
    if (diffId !== expected) {
      throw invalid(`Layer ${digest} of '${layout}' unpacks to ${diffId}, not to ${expected}`)
    }
  }
}

async function unpackLayer(file: string, root: string): Promise<string> {
  const archive = createHash('sha256')
  const written = new Set<string>()
  await readTar(hashed(file, archive), (entry) => unpackEntry(entry, root, written))
  return `sha256:${archive.digest('hex')}`
}

/** The archive inside a compressed file; its bytes go into `archive` as they pass. */
async function* hashed(file: string, archive: Hash): AsyncGenerator<Buffer> {
  const unpacked = createGunzip()
  const read = pipeline(createReadStream(file), unpacked)
  // What goes wrong is thrown by the loop below.
  read.catch(() => undefined)
  for await (const chunk of unpacked as AsyncIterable<Buffer>) {
    archive.update(chunk)
    yield chunk
  }
  await read
}

/** @param written what this layer has put there, which its whiteouts leave alone */
async function unpackEntry(entry: TarEntry, root: string, written: Set<string>): Promise<void> {
  const path = posix.join('/', climbing(entry.path))
  if (path === '/') {
    entry.resume()
    return
  }
  const folder = await folderInside(root, posix.dirname(path))
  const name = posix.basename(path)
  const target = join(folder, name)
  if (name.startsWith(WHITEOUT)) {
    entry.resume()
    await takeAway(folder, name, written)
    return
  }
  written.add(target)
  const there = await lstat(target).catch(() => undefined)
  if (there && !(there.isDirectory() && entry.type === 'Directory')) {
    await rm(target, { recursive: true })
  }
  if (await writeEntry(entry, root, target)) await own(entry, target)
}

async function writeEntry(entry: TarEntry, root: string, target: string): Promise<boolean> {
  if (entry.type === 'File' || entry.type === 'OldFile') {
    const contents = entry[Symbol.asyncIterator]()
    await pipeline(contents, createWriteStream(target, { flags: 'wx', mode: 0o600 }))
    return true
  }
  entry.resume()
  if (entry.type === 'Directory') await mkdir(target, { recursive: true })
  else if (entry.type === 'SymbolicLink') await symlink(entry.linkpath ?? '', target)
  else if (entry.type === 'Link') {
    const linked = posix.join('/', climbing(entry.linkpath ?? ''))
    const folder = await folderInside(root, posix.dirname(linked))
    await link(join(folder, posix.basename(linked)), target)
  } else return false
  return true
}

async function own(entry: TarEntry, target: string): Promise<void> {
  if (process.getuid?.() === 0) await lchown(target, entry.uid ?? 0, entry.gid ?? 0)
  if (entry.type !== 'SymbolicLink') await chmod(target, (entry.mode ?? 0o644) & 0o7777)
}

function climbing(path: string): string {
  if (posix.normalize(path).startsWith('..'))
    throw invalid(`A layer names '${path}', outside the image`)
  return path
}

/** Where a folder of the image is, made when it is missing; links are followed with `root` as `/`. */
async function folderInside(root: string, path: string): Promise<string> {
  let parts = path.split('/').filter(Boolean)
  let place = '/'
  let links = 0
  for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
    const next = posix.join(place, part)
    const stat = await lstat(join(root, next)).catch(() => undefined)
    if (stat?.isSymbolicLink()) {
      links += 1
      if (links > LINKS_MAX) throw invalid(`'${path}' of the image is a circle of links`)
      const pointed = await readlink(join(root, next))
      if (pointed.startsWith('/')) place = '/'
      parts = [...pointed.split('/').filter(Boolean), ...parts]
    } else if (stat && !stat.isDirectory()) {
      throw invalid(`A layer puts something below '${next}', which is no directory`)
    } else {
      if (!stat) await mkdir(join(root, next))
      place = next
    }
  }
  return join(root, place)
}

/** What a layer takes away from those below it (OCI image specification 1.1, "whiteouts"). */
async function takeAway(folder: string, mark: string, written: Set<string>): Promise<void> {
  const names = mark === OPAQUE ? await readdir(folder) : [mark.slice(WHITEOUT.length)]
  for (const name of names) {
    if (name === '' || name === '.' || name === '..') continue
    const target = join(folder, name)
    if (!written.has(target)) await rm(target, { recursive: true, force: true })
  }
}
