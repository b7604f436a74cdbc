import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'

const Container = z.strictObject({
  root: z.string(),
  user: z.int(),
  workingDirectory: z.string(),
  command: z.array(z.string()).min(1),
  environment: z.record(z.string(), z.string()),
  volumes: z.array(z.strictObject({ from: z.string(), to: z.string() })),
})

/** What runs in a container and how; `root` is an unpacked image. */
export type Container = z.output<typeof Container>

const DEVICES = ['null', 'zero', 'full', 'random', 'urandom']
const HOST_FILES = ['/etc/resolv.conf', '/etc/hosts']

/** Adds `images enter`, which `images run` starts as the first process of new namespaces. */
export function addImagesEnter(images: Command): void {
  images
    .command('enter <container>', { hidden: true })
    .helpOption('--help')
    .action((file: string) => enter(Container.parse(JSON.parse(readFileSync(file, 'utf8')))))
}

/** Mounts what the container sees, its root read-only, and becomes its program. */
function enter({ root, user, workingDirectory, command, environment, volumes }: Container): void {
  mount(['--bind', root, root])
  mount(['-t', 'proc', 'proc', mountPoint(root, '/proc')])
  mount(['-t', 'tmpfs', '-o', 'mode=1777,size=256m', 'tmpfs', mountPoint(root, '/tmp')])
  mount(['-t', 'tmpfs', '-o', 'mode=755,size=64k', 'tmpfs', mountPoint(root, '/dev')])
  for (const name of DEVICES) bind(root, `/dev/${name}`, `/dev/${name}`)
  for (const path of HOST_FILES) bind(root, path, path)
  for (const { from, to } of volumes) bind(root, from, to)
  mount(['-o', 'remount,bind,ro', root])
  const program = ['unshare', `--root=${root}`, `--wd=${workingDirectory}`]
  const owner = [`--setgid=${user}`, `--setuid=${user}`, '--']
  process.execve?.(
    '/usr/bin/setpriv',
    ['setpriv', '--no-new-privs', ...program, ...owner, ...command],
    environment,
  )
}

function bind(root: string, from: string, to: string): void {
  mount(['--bind', from, mountPoint(root, to, statSync(from).isFile() || from.startsWith('/dev/'))])
}

function mountPoint(root: string, path: string, isFile = false): string {
  const point = join(root, path)
  mkdirSync(isFile ? dirname(point) : point, { recursive: true })
  if (isFile) closeSync(openSync(point, 'a'))
  return point
}

function mount(args: string[]): void {
  execFileSync('/usr/bin/mount', args, { stdio: ['ignore', 'ignore', 'inherit'] })
}
