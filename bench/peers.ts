import { join } from 'node:path'
import {
  ensurePythonEnvironment,
  missingPython,
  type PythonEnvironmentName,
  pythonOf,
} from '../tools/setup/python-environments.ts'
import { root } from '../tools/setup/step.mjs'

/** A server that is measured: how it is started, and what its 200 to a write promises. */
export interface Peer {
  name: string
  /** What of an acknowledged write survives, by its SQLite journal and synchronous settings. */
  durability: string
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
  command: ({ port }) => ({
    file: process.execPath,
    args: [join(import.meta.dirname, 'echo-server.ts'), String(port)],
  }),
}

const peers: Record<string, Peer & { environment: PythonEnvironmentName }> = {
  mlflow: {
    name: 'mlflow',
    environment: 'mlflow-3.17.2',
    durability: 'power loss (DELETE journal, synchronous=FULL)',
    command: (place) => mlflow(place, '4'),
  },
  'mlflow-1w': {
    name: 'mlflow-1w',
    environment: 'mlflow-3.17.2',
    durability: 'power loss (DELETE journal, synchronous=FULL)',
    command: (place) => ({
      ...mlflow(place, '1'),
      env: { MLFLOW_SERVER_ENABLE_JOB_EXECUTION: 'false' },
    }),
  },
  fasttrackml: {
    name: 'fasttrackml',
    environment: 'fasttrackml',
    durability: 'only the end of its process (WAL, synchronous=NORMAL)',
    command: ({ port, folder, database }) => ({
      file: script('fasttrackml', 'fml'),
      args: [
        ...['server', '--log-level', 'error', '--listen-address', `127.0.0.1:${port}`],
        ...['--database-uri', forFastTrackML(database)],
        ...['--default-artifact-root', join(folder, 'artifacts')],
      ],
    }),
  },
}

export const peerNames = Object.keys(peers)

/** The peer of that name, installed; throws in one sentence when its interpreter is missing. */
export async function ensurePeer(name: string): Promise<Peer> {
  const peer = peers[name]
  if (peer === undefined) throw new Error(`There is no peer named '${name}'`)
  if (!(await ensurePythonEnvironment(peer.environment))) {
    throw new Error(missingPython(peer.environment))
  }
  return peer
}

function script(environment: PythonEnvironmentName, name: string): string {
  return join(pythonOf(environment), '..', name)
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

function mlflow(place: Place, workers: string): Command {
  return {
    file: script('mlflow-3.17.2', 'mlflow'),
    args: [...server(place), '--workers', workers],
  }
}
