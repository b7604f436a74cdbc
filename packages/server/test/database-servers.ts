import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { freePort } from '../../../tools/free-port.ts'
import { parseServerUri } from '../src/db/server-address.ts'
import { connect } from '../src/db/server-database.ts'

export type ServerKind = 'postgresql' | 'mariadb'

/** A database server of the tests' own, on this machine alone. */
export interface DatabaseServer {
  /** URI of a database in which others can be created. */
  adminUri: string
  /** The process's id; its group has the same. */
  pid: number
  /** Ends it as a power cut would. */
  kill(): Promise<void>
  /** Starts it again after `kill` or `stop`. */
  restart(): Promise<void>
  /** Ends it and removes all it stored. */
  stop(): Promise<void>
}

interface Options {
  /** Without fsync, for tests that do not ask what survives. */
  isDurable?: boolean
  connectionsMax?: number
  /** Further arguments of the server's program. */
  args?: readonly string[]
  /** The PostgreSQL server that this one copies and follows, as a standby. */
  primaryUri?: string
  /** Where its data is, instead of a folder of its own that is removed. */
  folder?: string
}

/** Starts a server with an empty database cluster; undefined when its programs are not installed. */
export async function startDatabaseServer(
  kind: ServerKind,
  options: Options = {},
): Promise<DatabaseServer | undefined> {
  const programs = findPrograms(kind)
  if (programs === undefined) return undefined
  const directory = options.folder ?? mkdtempSync(join(tmpdir(), `millrace-${kind}-`))
  const data = join(directory, 'data')
  mkdirSync(data, { mode: 0o700 })
  const owner = ownerOf(kind)
  if (owner !== undefined) for (const each of [directory, data]) chownSync(each, owner, owner)
  initialise(kind, programs, { data, owner, primaryUri: options.primaryUri })

  const port = await freePort()
  let child: ChildProcess | undefined
  const begin = () => {
    child = spawn(programs.server, argumentsOf(kind, { data, port, ...options }), {
      cwd: directory,
      detached: true,
      stdio: 'ignore',
      ...(owner !== undefined && { uid: owner, gid: owner }),
    })
  }
  // After a kill the shared memory is in use until the last child has noticed: then it ends again.
  const start = () =>
    untilItAnswers(adminUri, () => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) begin()
    })
  const end = async (signal: NodeJS.Signals) => {
    const ending = child
    if (ending?.pid === undefined || ending.exitCode !== null || ending.signalCode !== null) return
    const ended = new Promise((resolve) => ending.once('exit', resolve))
    process.kill(-ending.pid, signal)
    await ended
  }
  const adminUri =
    kind === 'postgresql'
      ? `postgresql://millrace@127.0.0.1:${port}/postgres`
      : `mysql+pymysql://root@127.0.0.1:${port}/mysql`
  try {
    await start()
  } catch (error) {
    await end('SIGKILL')
    throw error
  }
  return {
    adminUri,
    get pid() {
      return child?.pid ?? 0
    },
    kill: () => end('SIGKILL'),
    restart: start,
    async stop() {
      await end('SIGKILL')
      const removing = { recursive: true, force: true, maxRetries: 5 }
      rmSync(options.folder === undefined ? directory : data, removing)
    },
  }
}

let databases = 0

/** Creates an empty database on the server and returns its URI. */
export async function createDatabase(adminUri: string): Promise<string> {
  const name = `test_${process.pid}_${databases++}_${Date.now().toString(36)}`
  await administer(adminUri, `create database ${name}`)
  const uri = new URL(adminUri)
  uri.pathname = `/${name}`
  return uri.href
}

/** Runs one statement as the administrator. */
export async function administer(adminUri: string, statement: string): Promise<unknown[]> {
  const db = await connect(parseServerUri(adminUri), 1)
  try {
    const { rows } = await db.executeQuery({ sql: statement, parameters: [] } as never)
    return rows
  } finally {
    await db.destroy()
  }
}

interface Programs {
  server: string
  initialise: string
}

/** MILLRACE_TEST_DATABASE_PROGRAMS names a folder with another version than the installed one. */
function findPrograms(kind: ServerKind): Programs | undefined {
  const versions = '/usr/lib/postgresql'
  const debian = existsSync(versions) ? readdirSync(versions).sort().reverse() : []
  const other = process.env['MILLRACE_TEST_DATABASE_PROGRAMS']
  const folders = [
    ...(other === undefined ? [] : [other]),
    ...debian.map((version) => join(versions, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/sbin',
  ]
  const find = (name: string) =>
    folders.map((at) => join(at, name)).find((path) => existsSync(path))
  // Of MySQL, one program does both; a program of that name beside MariaDB's is MariaDB's too.
  const mysql = join(other ?? '', 'mysqld')
  if (kind === 'mariadb' && other !== undefined && existsSync(mysql)) {
    return { server: mysql, initialise: mysql }
  }
  const [server, initialise] =
    kind === 'postgresql'
      ? [find('postgres'), find('initdb')]
      : [find('mariadbd'), find('mariadb-install-db')]
  if (server === undefined || initialise === undefined) return undefined
  return { server, initialise }
}

/** PostgreSQL refuses to run as root, so root starts it as the user of its package, or as nobody. */
export function ownerOf(kind: ServerKind): number | undefined {
  if (process.getuid?.() !== 0 || kind !== 'postgresql') return undefined
  for (const name of ['postgres', 'nobody']) {
    const { stdout, status } = spawnSync('id', ['-u', name], { encoding: 'utf8' })
    if (status === 0) return Number(stdout)
  }
  return undefined
}

interface Initialising {
  data: string
  owner: number | undefined
  primaryUri: string | undefined
}

function initialise(kind: ServerKind, programs: Programs, options: Initialising): void {
  const { data, owner } = options
  const [program, args] = initialisation(kind, programs, options)
  const { status, stderr, stdout } = spawnSync(program, args, {
    encoding: 'utf8',
    cwd: data,
    ...(owner !== undefined && { uid: owner, gid: owner }),
  })
  if (status !== 0) throw new Error(`${program} failed: ${stderr || stdout}`)
}

function initialisation(
  kind: ServerKind,
  { server, initialise: program }: Programs,
  { data, primaryUri }: Initialising,
): [program: string, args: string[]] {
  if (primaryUri !== undefined) {
    const copies = ['--write-recovery-conf', '--checkpoint=fast', '--no-sync']
    return [join(dirname(server), 'pg_basebackup'), ['-D', data, '-d', primaryUri, ...copies]]
  }
  if (kind === 'postgresql') {
    const user = ['-U', 'millrace', '--auth=trust']
    return [program, ['-D', data, ...user, '-E', 'UTF8', '--no-sync', '--locale=C.UTF-8']]
  }
  const asRoot = process.getuid?.() === 0 ? ['--user=root'] : []
  const where = ['--no-defaults', `--datadir=${data}`]
  if (program === server) return [program, [...where, '--initialize-insecure', ...asRoot]]
  const login = ['--auth-root-authentication-method=normal', '--skip-test-db']
  return [program, [...where, ...login, ...asRoot]]
}

function argumentsOf(
  kind: ServerKind,
  {
    data,
    port,
    isDurable = false,
    connectionsMax = 200,
    args = [],
  }: Options & { data: string; port: number },
): string[] {
  if (kind === 'postgresql') {
    const settings = {
      listen_addresses: '127.0.0.1',
      port,
      unix_socket_directories: '',
      max_connections: connectionsMax,
      shared_buffers: '64MB',
      ...(!isDurable && { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
    }
    return [
      '-D',
      data,
      ...Object.entries(settings).flatMap(([k, v]) => ['-c', `${k}=${v}`]),
      ...args,
    ]
  }
  return [
    '--no-defaults',
    `--datadir=${data}`,
    `--port=${port}`,
    '--bind-address=127.0.0.1',
    `--socket=${join(data, 's')}`,
    // A server that starts removes the temporary tables of every other one with the same folder.
    `--tmpdir=${data}`,
    `--max-connections=${connectionsMax}`,
    '--innodb-buffer-pool-size=64M',
    // MySQL keeps one unless it is told not to, and writes it to the disk with every commit.
    '--skip-log-bin',
    ...(isDurable ? [] : ['--innodb-flush-log-at-trx-commit=0']),
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    ...args,
  ]
}

async function untilItAnswers(adminUri: string, ensureStarted: () => void): Promise<void> {
  const deadline = Date.now() + 60_000
  for (;;) {
    ensureStarted()
    try {
      await administer(adminUri, 'select 1')
      return
    } catch (error) {
      if (Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
