import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { InstanceSpec } from './instance-spec.ts'

/** Where the job finds its files; it has to be there as a folder, on the machine itself. */
export const ML_FOLDER = '/opt/ml'

/**
 * Makes the file system that an instance sees, in the mount namespace of this process: its own
 * /opt/ml and /tmp, names of the other instances, no home directories but what is said to be visible.
 *
 * The folders of the instance are first bound below /opt/ml, because they may lie in one of those
 * that are hidden next; in the end /opt/ml is covered by the job's own.
 *
 * @throws Error with what `mount` said
 */
export function enterPrivateRoot(spec: InstanceSpec): string {
  const { directory, visible, hasNetwork } = spec
  makeMlFolder()
  const mounts = new Mounts()
  mounts.add('millrace', ML_FOLDER, 'tmpfs', 'mode=755')
  mounts.make()
  const staged = new Map<string, string>()
  const stage = (path: string) => {
    const place = join(ML_FOLDER, String(staged.size))
    makePlace(path, place)
    mounts.add(path, place, 'none', 'bind')
    staged.set(path, place)
  }
  const own = { ml: join(directory, 'ml'), tmp: join(directory, 'tmp') }
  stage(own.ml)
  stage(own.tmp)
  for (const path of visible) stage(path)
  writeFileSync(join(ML_FOLDER, 'hosts'), hostsFile(spec))
  writeFileSync(join(ML_FOLDER, 'passwd'), passwdFile(spec))

  const root = spec.image === undefined ? '' : mountImage(mounts, spec.image, directory)
  const hidden = (root === '' ? spec.hidden : []).filter(
    (path) => path !== '/tmp' && existsSync(path),
  )
  mkdirSync(join(root, '/tmp'), { recursive: true })
  mounts.add(staged.get(own.tmp) ?? own.tmp, join(root, '/tmp'), 'none', 'bind')
  for (const path of hidden) mounts.add('millrace', path, 'tmpfs', 'mode=755')
  mounts.make()
  for (const path of visible) {
    const place = join(root, path)
    const source = staged.get(path) ?? path
    makePlace(source, place)
    mounts.add(source, place, 'none', 'bind,ro')
  }
  for (const name of ['hosts', 'passwd']) {
    const place = join(root, '/etc', name)
    if (root !== '') writeFileSync(place, readFileSync(join(ML_FOLDER, name)))
    else if (existsSync(place)) mounts.add(join(ML_FOLDER, name), place, 'none', 'bind')
  }
  mkdirSync(join(root, '/proc'), { recursive: true })
  mounts.add('millrace', join(root, '/proc'), 'proc', 'defaults')
  // This process stays outside of an image's root, and counts the job's processes and no others.
  if (root !== '') mounts.add('millrace', '/proc', 'proc', 'defaults')
  if (existsSync(join(root, '/dev/shm'))) {
    // Files in memory are in no process, so that nobody would count them.
    const options = `mode=1777,size=${spec.limits.memoryBytes}`
    mounts.add('millrace', join(root, '/dev/shm'), 'tmpfs', options)
  }
  mkdirSync(join(root, ML_FOLDER), { recursive: true })
  mounts.add(staged.get(own.ml) ?? own.ml, join(root, ML_FOLDER), 'none', 'bind')
  mounts.make()
  if (!hasNetwork) run('ip', ['link', 'set', 'lo', 'up'])
  return root
}

/** Mounts that are made together, in their order: a program that is started for each takes its time. */
class Mounts {
  #lines: string[] = []

  /** A source called `millrace` is nothing; `mount -a` leaves out what it thinks is there already. */
  add(source: string, place: string, type: string, options: string): void {
    this.#lines.push([source, place, type, options].map(escaped).join(' '))
  }

  make(): void {
    const table = this.#lines.join('\n')
    this.#lines = []
    // Beside the instance's other files, which only the working directory still leads to.
    writeFileSync('mounts', `${table}\n`)
    run('mount', ['-a', '-T', 'mounts'], `mount of\n${table}\n`)
  }
}

/** A field as fstab(5) wants it. */
function escaped(field: string): string {
  return field.replace(
    /[\s\\#]/g,
    (found) => `\\${found.charCodeAt(0).toString(8).padStart(3, '0')}`,
  )
}

const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty']

/** An image's files with a layer of the instance's own above them. */
function mountImage(mounts: Mounts, image: string, directory: string): string {
  const [root, upper, work] = ['root', 'upper', 'work'].map((name) => join(directory, name))
  for (const folder of [root, upper, work]) mkdirSync(folder ?? '', { recursive: true })
  const layers = `lowerdir=${image},upperdir=${upper},workdir=${work}`
  mounts.add('millrace', root ?? '', 'overlay', `${layers},nodev,nosuid`)
  mounts.make()
  const devices = join(root ?? '', 'dev')
  mkdirSync(devices, { recursive: true })
  mkdirSync(join(root ?? '', 'etc'), { recursive: true })
  mounts.add('millrace', devices, 'tmpfs', 'mode=755')
  mounts.make()
  mkdirSync(join(devices, 'shm'))
  for (const name of DEVICES) {
    writeFileSync(join(devices, name), '')
    mounts.add(`/dev/${name}`, join(devices, name), 'none', 'bind')
  }
  const names = '/etc/resolv.conf'
  if (existsSync(names)) {
    rmSync(join(root ?? '', names), { force: true })
    writeFileSync(join(root ?? '', names), readFileSync(names))
  }
  return root ?? ''
}

function makeMlFolder(): void {
  try {
    mkdirSync(ML_FOLDER, { recursive: true })
  } catch (cause) {
    throw new Error(
      `There is no folder ${ML_FOLDER} to show the files of a job in, and this user may not make ` +
        `it: run "sudo mkdir -p ${ML_FOLDER}" once.`,
      { cause },
    )
  }
}

function makePlace(path: string, place: string): void {
  if (existsSync(place)) return
  if (statSync(path).isDirectory()) {
    mkdirSync(place, { recursive: true })
    return
  }
  mkdirSync(dirname(place), { recursive: true })
  writeFileSync(place, '')
}

function hostsFile({ hosts }: InstanceSpec): string {
  const lines = hosts.map(({ address, name }) => `${address} ${name}\n`)
  return `127.0.0.1 localhost\n::1 localhost ip6-localhost\n${lines.join('')}`
}

function passwdFile({ isolation }: InstanceSpec): string {
  const root = 'root:x:0:0:root:/root:/usr/sbin/nologin\n'
  if (isolation.kind !== 'namespaces') return root
  const { userId } = isolation
  return `${root}sagemaker-user:x:${userId}:${userId}::/tmp:/usr/sbin/nologin\n`
}

function run(file: string, args: string[], what = [file, ...args].join(' ')): void {
  const { status, stderr, error } = spawnSync(file, args, { encoding: 'utf8' })
  if (status === 0) return
  throw new Error(`${what} failed: ${error?.message ?? stderr.trim()}`)
}
