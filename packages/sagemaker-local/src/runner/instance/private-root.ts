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
  mount('-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', ML_FOLDER)
  const staged = new Map<string, string>()
  const stage = (path: string) => {
    const place = join(ML_FOLDER, String(staged.size))
    makePlace(path, place)
    mount('--bind', path, place)
    staged.set(path, place)
  }
  const own = { ml: join(directory, 'ml'), tmp: join(directory, 'tmp') }
  stage(own.ml)
  stage(own.tmp)
  for (const path of visible) stage(path)
  writeFileSync(join(ML_FOLDER, 'hosts'), hostsFile(spec))
  writeFileSync(join(ML_FOLDER, 'passwd'), passwdFile(spec))

  const root = spec.image === undefined ? '' : mountImage(spec.image, directory)
  const hidden = (root === '' ? spec.hidden : []).filter(
    (path) => path !== '/tmp' && existsSync(path),
  )
  mkdirSync(join(root, '/tmp'), { recursive: true })
  mount('--bind', staged.get(own.tmp) ?? own.tmp, join(root, '/tmp'))
  for (const path of hidden) {
    mount('-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', path)
  }
  for (const path of visible) {
    const place = join(root, path)
    const source = staged.get(path) ?? path
    makePlace(source, place)
    mount('--bind', source, place)
    mount('-o', 'remount,bind,ro', place)
  }
  for (const name of ['hosts', 'passwd']) {
    const place = join(root, '/etc', name)
    if (root !== '') writeFileSync(place, readFileSync(join(ML_FOLDER, name)))
    else if (existsSync(place)) mount('--bind', join(ML_FOLDER, name), place)
  }
  mkdirSync(join(root, '/proc'), { recursive: true })
  mount('-t', 'proc', 'proc', join(root, '/proc'))
  if (existsSync(join(root, '/dev/shm'))) {
    mount('-t', 'tmpfs', '-o', 'mode=1777,size=50%', 'tmpfs', join(root, '/dev/shm'))
  }
  if (!hasNetwork) run('ip', ['link', 'set', 'lo', 'up'])
  mkdirSync(join(root, ML_FOLDER), { recursive: true })
  mount('--bind', staged.get(own.ml) ?? own.ml, join(root, ML_FOLDER))
  return root
}

const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty']

/** An image's files with a layer of the instance's own above them. */
function mountImage(image: string, directory: string): string {
  const [root, upper, work] = ['root', 'upper', 'work'].map((name) => join(directory, name))
  for (const folder of [root, upper, work]) mkdirSync(folder ?? '', { recursive: true })
  const layers = `lowerdir=${image},upperdir=${upper},workdir=${work}`
  mount('-t', 'overlay', '-o', `${layers},nodev,nosuid`, 'overlay', root ?? '')
  const devices = join(root ?? '', 'dev')
  mkdirSync(devices, { recursive: true })
  mkdirSync(join(root ?? '', 'etc'), { recursive: true })
  mount('-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', devices)
  mkdirSync(join(devices, 'shm'))
  for (const name of DEVICES) {
    writeFileSync(join(devices, name), '')
    mount('--bind', `/dev/${name}`, join(devices, name))
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

function mount(...args: string[]): void {
  run('mount', args)
}

function run(file: string, args: string[]): void {
  const { status, stderr, error } = spawnSync(file, args, { encoding: 'utf8' })
  if (status === 0) return
  throw new Error(`${[file, ...args].join(' ')} failed: ${error?.message ?? stderr.trim()}`)
}
