import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { runStep } from './step.mjs'

/** The path of a program on PATH or in one of some other folders, or undefined. */
export function findProgram(names: readonly string[], folders: readonly string[] = []) {
  const all = [...(process.env['PATH'] ?? '').split(delimiter), ...folders]
  return names.flatMap((name) => all.map((bin) => join(bin, name))).find((path) => existsSync(path))
}

/** Installs packages with apt-get; returns whether this process may do that at all. */
export async function installDebianPackages(
  title: string,
  packages: readonly string[],
  advice: string,
): Promise<boolean> {
  if (process.getuid?.() !== 0 || findProgram(['apt-get']) === undefined) return false
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  await runStep({
    title: 'Reading the package lists',
    file: 'apt-get',
    args: ['update'],
    advice,
    env,
  })
  await runStep({
    title,
    file: 'apt-get',
    args: ['install', '-y', '--no-install-recommends', ...packages],
    advice,
    env,
  })
  return true
}

const POSTGRESQL = '/usr/lib/postgresql'

/** Database servers that the tests start for themselves, and the packages that bring them. */
const DATABASES = {
  postgresql: { program: 'initdb', packages: ['postgresql'] },
  mariadb: {
    program: 'mariadb-install-db',
    packages: ['mariadb-server-core', 'mariadb-client-core'],
  },
} as const

/** Makes sure that a database server can be started; returns why not when it cannot. */
export async function ensureDatabaseServer(
  kind: keyof typeof DATABASES,
): Promise<string | undefined> {
  const { program, packages } = DATABASES[kind]
  const isThere = () => findProgram([program], [...postgresqlFolders(), '/usr/sbin']) !== undefined
  if (isThere()) return undefined
  const missing = `${kind} was not found: install it (Debian: apt-get install ${packages.join(' ')})`
  const mayInstall = await installDebianPackages(`Installing ${kind}`, packages, missing)
  return mayInstall && isThere() ? undefined : missing
}

/** Makes sure that there is an OCI registry to push images to; returns why not when there is none. */
export async function ensureRegistry(): Promise<string | undefined> {
  const isThere = () => findProgram(['docker-registry'], ['/usr/bin']) !== undefined
  if (isThere()) return undefined
  const packages = ['docker-registry']
  const missing =
    'docker-registry was not found: install it (Debian: apt-get install docker-registry)'
  const mayInstall = await installDebianPackages('Installing docker-registry', packages, missing)
  return mayInstall && isThere() ? undefined : missing
}

/** Debian keeps the programs of each PostgreSQL version in a folder that is not on PATH. */
function postgresqlFolders(): string[] {
  if (!existsSync(POSTGRESQL)) return []
  return readdirSync(POSTGRESQL).map((version) => join(POSTGRESQL, version, 'bin'))
}
