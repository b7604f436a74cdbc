import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { ImagePart } from '@millrace/sagemaker/images/bill-of-materials'
import type { LayerEntry } from '@millrace/sagemaker/images/image-layer'
import { readTar, type TarEntry } from '@millrace/sagemaker/images/read-tar'
import type { Architecture, ImageDefinition } from './images-definition.ts'
import { runTool } from './images-program.ts'

const ADVICE =
  'The base of an image is made of Debian packages, which takes apt and dpkg: build it on Debian or Ubuntu.'
const DAY_MS = 24 * 60 * 60 * 1000

/** What nobody reads inside a container. */
const LEFT_OUT =
  /^usr\/share\/(doc|man|info|locale|lintian|bug|menu|common-licenses\/.*|pixmaps|applications)(\/|$)/

/** The files of Debian packages, and what they are. */
export interface DebianBase {
  entries: LayerEntry[]
  parts: ImagePart[]
}

/**
 * Fetches Debian packages with apt, for an architecture that need not be this machine's, and gives
 * their files without running anything of them. apt works in a folder of its own below `cache`:
 * what is installed on this machine plays no part and is not changed.
 */
export async function fetchDebianBase(
  { packages, withDependencies }: ImageDefinition['debian'],
  architecture: Architecture,
  cache: string,
): Promise<DebianBase> {
  const options = await aptOptions(architecture, cache)
  const key = createHash('sha256')
    .update(JSON.stringify([packages, withDependencies]))
    .digest('hex')
  const folder = join(cache, 'debian', `${architecture}-${key.slice(0, 16)}`)
  await mkdir(folder, { recursive: true })
  const names = withDependencies ? await closureOf(packages, options) : packages
  await runTool('apt-get', [...options, 'download', ...names], { cwd: folder, advice: ADVICE })

  const newest = await newestFiles(folder, names)
  const byPath = new Map<string, LayerEntry>(mergedUsr(architecture).map((e) => [e.path, e]))
  for (const { file } of newest) {
    for (const entry of await entriesOf(file)) byPath.set(entry.path, entry)
  }
  return {
    entries: [...byPath.values()],
    parts: newest.map(({ name, version, packageArchitecture }) => ({
      name,
      version,
      purl: `pkg:deb/debian/${name.replaceAll('+', '%2B')}@${encodeURIComponent(version)}?arch=${packageArchitecture}`,
    })),
  }
}

async function aptOptions(architecture: Architecture, cache: string): Promise<string[]> {
  const home = join(cache, 'apt', architecture)
  const lists = join(home, 'state', 'lists')
  await mkdir(join(lists, 'partial'), { recursive: true })
  await mkdir(join(home, 'cache', 'archives', 'partial'), { recursive: true })
  const status = join(home, 'status')
  await writeFile(status, '')
  const options = [
    ['Dir::State', join(home, 'state')],
    ['Dir::State::status', status],
    ['Dir::Cache', join(home, 'cache')],
    ['APT::Architecture', architecture],
    ['APT::Architectures', architecture],
    ['APT::Sandbox::User', 'root'],
  ].flatMap(([name, value]) => ['-o', `${name}=${value}`])
  const fetched = join(home, 'fetched')
  const age = await stat(fetched).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => Number.POSITIVE_INFINITY,
  )
  if (age > DAY_MS) {
    await runTool('apt-get', [...options, 'update'], { advice: ADVICE })
    await writeFile(fetched, '')
  }
  return options
}

/** The packages with all that they depend on, as apt would install them on an empty machine. */
async function closureOf(packages: string[], options: string[]): Promise<string[]> {
  const plan = await runTool(
    'apt-get',
    [...options, '--simulate', '--no-install-recommends', 'install', ...packages],
    { advice: ADVICE },
  )
  return [...plan.matchAll(/^Inst (\S+) /gm)].map(([, name = '']) => name.replace(/:.*$/, ''))
}

/** An older version may lie in the folder from a build before; of each package the newest file counts. */
async function newestFiles(folder: string, names: string[]) {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.deb'))
  return Promise.all(
    [...names].sort().map(async (name) => {
      const candidates = files.filter((file) => file.startsWith(`${name}_`))
      const dated = await Promise.all(
        candidates.map(async (file) => ({ file, at: (await stat(join(folder, file))).ctimeMs })),
      )
      const newest = dated.sort((a, b) => b.at - a.at)[0]
      if (!newest) throw new Error(`apt fetched no package '${name}'.`)
      const [, version = '', packageArchitecture = ''] = newest.file.replace('.deb', '').split('_')
      return {
        name,
        version: decodeURIComponent(version),
        packageArchitecture,
        file: join(folder, newest.file),
      }
    }),
  )
}

async function entriesOf(file: string): Promise<LayerEntry[]> {
  const entries = new Map<string, LayerEntry>()
  const child = spawn('dpkg-deb', ['--fsys-tarfile', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  await readTar(child.stdout, (entry) => keep(entry, entries))
  const [code] = (await ended) as [number | null]
  if (code !== 0) throw new Error(`dpkg-deb could not read ${file} (${code}). ${ADVICE}`)
  return [...entries.values()]
}

async function keep(entry: TarEntry, entries: Map<string, LayerEntry>): Promise<void> {
  const path = inUsr(posix.normalize(entry.path).replace(/\/$/, ''))
  if (path === '.' || LEFT_OUT.test(path) || /^usr\/?(s?bin|lib(32|64|x32)?)?$/.test(path)) {
    entry.resume()
    return
  }
  if (entry.type === 'Directory') {
    entry.resume()
    entries.set(path, { kind: 'directory', path, mode: (entry.mode ?? 0o755) & 0o1777 })
  } else if (entry.type === 'SymbolicLink') {
    entry.resume()
    entries.set(path, { kind: 'link', path, target: entry.linkpath ?? '' })
  } else if (entry.type === 'Link') {
    entry.resume()
    const target = entries.get(inUsr(posix.normalize(entry.linkpath ?? '')))
    if (target?.kind === 'file') entries.set(path, { ...target, path })
  } else {
    // Nothing in a container of ours needs the right to become another user.
    const mode = (entry.mode ?? 0o644) & 0o777
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    entries.set(path, { kind: 'file', path, mode, bytes: Buffer.concat(chunks) })
  }
}

/** Debian 12 ships some files in /lib and installs them to /usr/lib, where /lib points. */
function inUsr(path: string): string {
  const inside = path.replace(/^\.\//, '')
  return /^(s?bin|lib|lib32|lib64|libx32)(\/|$)/.test(inside) ? `usr/${inside}` : inside
}

function mergedUsr(architecture: Architecture): LayerEntry[] {
  const folders =
    architecture === 'amd64' ? ['bin', 'sbin', 'lib', 'lib64'] : ['bin', 'sbin', 'lib']
  return folders.flatMap((name): LayerEntry[] => [
    { kind: 'directory', path: `usr/${name}` },
    { kind: 'link', path: name, target: `usr/${name}` },
  ])
}
