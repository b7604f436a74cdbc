import { spawnSync } from 'node:child_process'
import { homedir } from 'node:os'
import type { PlaneSettings } from '../../plane-settings.ts'
import type { Isolation } from './instance-spec.ts'
import { ML_FOLDER } from './private-root.ts'

// Users that nobody else has: systemd takes its own from the end of this range.
const FIRST_USER = 1_000_000_000
const USERS = 65_536

let found: Isolation['kind'] | undefined

/** How jobs can be kept apart on this machine, for a job with a number of its own. */
export function isolationFor(number: number): Isolation {
  found ??= findKind()
  if (found === 'namespaces') return { kind: found, userId: FIRST_USER + (number % USERS) }
  return { kind: found }
}

/** What a job of that isolation takes for /opt/ml. */
export function mlFolder(isolation: Isolation, own: string): string {
  return isolation.kind === 'none' ? own : ML_FOLDER
}

/** Folders that jobs do not see: homes, what is temporary, and what belongs to the control plane. */
export function hiddenFolders({ directory, environment }: PlaneSettings): string[] {
  const homes = ['/root', '/home', homedir(), environment['HOME'] ?? '/root']
  const paths = [...new Set([...homes, directory, '/tmp', '/var/tmp'])].filter(
    (path) => path !== '/',
  )
  // What lies in a hidden folder is hidden with it.
  return paths.filter((path) => !paths.some((other) => path.startsWith(`${other}/`)))
}

function findKind(): Isolation['kind'] {
  if (process.platform !== 'linux') return 'none'
  const spaces = ['--mount', '--pid', '--fork', '--kill-child']
  const works = (args: string[]) => spawnSync('unshare', [...args, 'true']).status === 0
  if (process.getuid?.() === 0 && works(spaces)) return 'namespaces'
  return works(['--user', '--map-root-user', ...spaces]) ? 'user-namespace' : 'none'
}
