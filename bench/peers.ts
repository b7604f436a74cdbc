import { existsSync, globSync, symlinkSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import {
  ensurePythonEnvironment,
  missingPython,
  type PythonEnvironmentName,
  pythonOf,
} from '../tools/setup/python-environments.ts'
import { root } from '../tools/setup/step.mjs'
import { STORES, type Store } from './store.ts'

/** A server that is measured: how it is started, and what its 200 to a write promises. */
export interface Peer {
  name: string
  /** What of a write acknowledged on SQLite survives, by its journal and synchronous settings. */
  durability: string
  stores: readonly Store[]
  command(place: Place): Command
}

/** Where a server listens and keeps everything it has. */
export interface Place {
  port: number
  folder: string
  /** SQLAlchemy-style URI of its database. */
  database: string
}

export interface Command {
  file: string
  args: string[]
  env?: Record<string, string>
}

/** Millrace as people start it, from this checkout or another. */
export function millrace(name = 'millrace', checkout = root): Peer {
  return {
    name,
    durability: 'power loss (WAL, synchronous=FULL)',
    stores: STORES,
    command: (place) => ({
      file: process.execPath,
      args: [join(checkout, 'packages', 'cli', 'bin', 'millrace.cjs'), ...server(place)],
    }),
  }
}

/** A bare `node:http` server that answers `{}` to everything: the floor that HTTP itself sets. */
export const echo: Peer = {
  name: 'echo',
  durability: 'nothing is stored',
  stores: STORES,
  command: ({ port }) => ({
    file: process.execPath,
    args: [join(import.meta.dirname, 'echo-server.ts'), String(port)],
  }),
}

interface InstalledPeer extends Peer {
  environment: PythonEnvironmentName
  /** What its package leaves to do before it starts. */
  prepare?(): void
}

const peers: Record<string, InstalledPeer> = {
  mlflow: {
    name: 'mlflow',
    environment: 'mlflow-3.17.2',
    durability: 'power loss (DELETE journal, synchronous=FULL)',
    stores: STORES,
    command: (place) => mlflow(place, '4'),
  },
  'mlflow-1w': {
    name: 'mlflow-1w',
    environment: 'mlflow-3.17.2',
    durability: 'power loss (DELETE journal, synchronous=FULL)',
    stores: STORES,
    command: (place) => ({
      ...mlflow(place, '1'),
      env: { MLFLOW_SERVER_ENABLE_JOB_EXECUTION: 'false' },
    }),
  },
  fasttrackml: {
    name: 'fasttrackml',
    environment: 'fasttrackml',
    durability: 'only the end of its process (WAL, synchronous=NORMAL)',
    stores: ['sqlite', 'postgresql'],
    command: ({ port, folder, database }) => ({
      file: script('fasttrackml', 'fml'),
      args: [
        ...['server', '--log-level', 'error', '--listen-address', `127.0.0.1:${port}`],
        ...['--database-uri', forFastTrackML(database)],
        ...['--default-artifact-root', join(folder, 'artifacts')],
      ],
    }),
  },
  'mlflow-go': {
    name: 'mlflow-go',
    environment: 'mlflow-go',
    durability: 'power loss (DELETE journal, synchronous=FULL)',
    // Its queries fail on PostgreSQL, and MariaDB is not among its databases.
    stores: ['sqlite'],
    prepare: linkGoLibrary,
    command: ({ port, folder, database }) => ({
      file: script('mlflow-go', 'mlflow-go'),
      args: [
        ...['server', '--host', '127.0.0.1', '--port', String(port)],
        ...['--backend-store-uri', database],
        ...['--default-artifact-root', join(folder, 'artifacts')],
      ],
      // It starts a whole MLflow beside it, by name.
      env: {
        PATH: [dirname(script('mlflow-go', 'mlflow')), process.env['PATH']].join(delimiter),
      },
    }),
  },
}

export const peerNames = Object.keys(peers)

/** The names of the peers that can keep their data in that store. */
export function peersOn(store: Store): string[] {
  return peerNames.filter((name) => peers[name]?.stores.includes(store))
}

/** The peer of that name, installed; throws in one sentence when its interpreter is missing. */
export async function ensurePeer(name: string): Promise<Peer> {
  const peer = peers[name]
  if (peer === undefined) throw new Error(`There is no peer named '${name}'`)
  if (!(await ensurePythonEnvironment(peer.environment))) {
    throw new Error(missingPython(peer.environment))
  }
  peer.prepare?.()
  return peer
}

function script(environment: PythonEnvironmentName, name: string): string {
  return join(pythonOf(environment), '..', name)
}

/** Its wheel for Linux carries the library under the name that macOS would look for. */
function linkGoLibrary(): void {
  const packages = join(dirname(pythonOf('mlflow-go')), '../lib/python3.*/site-packages')
  for (const library of globSync(join(packages, 'mlflow_go_backend/*.dylib'))) {
    const link = library.replace(/dylib$/, 'so')
    if (!existsSync(link)) symlinkSync(library, link)
  }
}

/** It writes SQLite's URIs with two slashes and knows no driver names. */
function forFastTrackML(uri: string): string {
  return uri.replace('sqlite:///', 'sqlite://').replace(/^postgresql(\+\w+)?:/, 'postgres:')
}

function server({ port, folder, database }: Place): string[] {
  return [
    ...['server', '--host', '127.0.0.1', '--port', String(port)],
    ...['--backend-store-uri', database],
    ...['--artifacts-destination', join(folder, 'artifacts')],
  ]
}

/** SQLAlchemy 2.1 takes a bare `postgresql://` for another driver than the one that is installed. */
function mlflow(place: Place, workers: string): Command {
  const database = place.database.replace(/^postgresql:/, 'postgresql+psycopg2:')
  return {
    file: script('mlflow-3.17.2', 'mlflow'),
    args: [...server({ ...place, database }), '--workers', workers],
  }
}
