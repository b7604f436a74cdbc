import { dirname, join, resolve } from 'node:path'
import type { AzureOptions } from '@millrace/artifacts/azure-account'
import { findHttpRoot } from '@millrace/artifacts/http-root'
import { type ArtifactLocation, parseLocation } from '@millrace/artifacts/location'
import { DEFAULT_S3_OPTIONS, type S3Options } from '@millrace/artifacts/s3-options'
import {
  type AddressParts,
  describeAddress,
  joinServerAddress,
  parseServerUri,
  type ServerAddress,
  serverKindOf,
} from './db/server-address.ts'
import type { Synchronous } from './db/sqlite-dialect.ts'
import { readAzureOptions, readS3Options } from './s3-settings.ts'
import { SERVER_OPTIONS, type ServerOption } from './server-options.ts'

/** Plain settings that handlers read, also on the writer's thread. */
export interface Settings {
  /** Where a new experiment keeps its artifacts: `<defaultArtifactRoot>/<experiment_id>`. */
  defaultArtifactRoot: string
  /** Directory or bucket behind `mlflow-artifacts:`. */
  artifactsDestination: string
  servesArtifacts: boolean
  /** Long param and tag values are cut, or else refused (`MLFLOW_TRUNCATE_LONG_VALUES`). */
  truncatesLongValues: boolean
  /** Path in front of every URL, such as `/mlflow`; empty for none. */
  staticPrefix: string
  /** Whether clients may have the artifacts of an experiment in a directory of their own choice. */
  allowsLocalLocations: boolean
  /** Absolute local directories that the server itself may read artifacts from. */
  localArtifactRoots: readonly string[]
  /** Where in object stores the server may read artifacts besides its own; `*` for anywhere. */
  remoteArtifactRoots: readonly string[]
  s3: S3Options
  azure: AzureOptions
  /** Whether clients are given links past this server, straight to the store. */
  givesLinks: boolean
  /** How long links are valid that download straight from a store, unless a request says. */
  presignedDownloadSeconds: number
  /** URL schemes with a host that an experiment's `artifact_location` may name. */
  allowedArtifactSchemes: readonly string[]
  /** Most characters of an `artifact_location`. */
  artifactLocationLengthMax: number
  /** Regular expression that sources of model versions must match; empty for any. */
  modelSourcePattern: string
}

/** Where runs and models are kept. */
export type DatabaseConfig = DatabaseSource & { pendingWritesMax: number }

/** What a message may say of a database. */
export function describeDatabase(database: DatabaseConfig): string {
  return database.kind === 'sqlite' ? database.path : describeAddress(database.address)
}

/** Everything `startServer` needs. */
export interface ServerConfig {
  host: string
  port: number
  database: DatabaseConfig
  settings: Settings
  allowedHosts: readonly string[]
  allowedOrigins: readonly string[]
  frameOptions: 'SAMEORIGIN' | 'DENY' | 'NONE'
  exposesPrometheus: boolean
  /** How long a server that was told to stop still answers, while balancers turn away from it. */
  drainSeconds: number
  /** Processes that share the port; 1 where they could not share the database. */
  workers: number
  /** Directory of the built pages; undefined serves the API alone. */
  uiDirectory: string | undefined
  /** The control plane of SageMaker beside the server; undefined for none. */
  sageMaker: SageMakerConfig | undefined
}

/** How the control plane beside the server is started; it listens on loopback. */
export interface SageMakerConfig {
  port: number
  directory: string
  imagesFile: string | undefined
}

/** Values of `SERVER_OPTIONS` by name; undefined where nothing was given. */
export type OptionValues = Readonly<Record<string, string | boolean | undefined>>

/** Every problem of the settings at once, one a line. */
export class ConfigError extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
  }
}

/**
 * Settings from flags, then the environment, then the defaults.
 *
 * @throws ConfigError naming every setting that is wrong, with its value
 */
export function readConfig(
  flags: OptionValues,
  env: Readonly<Record<string, string | undefined>>,
  uiDirectory: string | undefined,
): ServerConfig {
  const problems: string[] = []
  const values = new Map(SERVER_OPTIONS.map((option) => [option.name, valueOf(option, flags, env)]))
  const text = (name: string) => String(values.get(name) ?? '')
  const read = <Value>(name: string, parse: (text: string) => Value): Value => {
    try {
      return parse(text(name))
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      problems.push(`--${name} '${withoutPassword(text(name))}': ${reason}`)
      return parse(SERVER_OPTIONS.find((option) => option.name === name)?.defaultsTo ?? '')
    }
  }

  const host = text('host')
  if (!isLoopback(host) && !isYes(text('allow-unauthenticated'))) {
    problems.push(
      `--host '${host}' is reachable from other machines, and there is no login yet. Listen on 127.0.0.1, ` +
        'or say --allow-unauthenticated if everybody who reaches it may change and delete everything.',
    )
  }
  const isOpen = isYes(text('disable-security-middleware'))
  const servesArtifacts = isYes(text('serve-artifacts'))
  const artifactsDestination = read('artifacts-destination', readLocation)
  const defaultArtifactRoot =
    text('default-artifact-root') === ''
      ? servesArtifacts
        ? 'mlflow-artifacts:/'
        : parseLocation('./mlruns').uri
      : read('default-artifact-root', (uri) => parseLocation(uri === '' ? './mlruns' : uri).uri)
  const database = readDatabase(text, read)
  const workers = read('workers', readCount)
  const sageMaker = readSageMaker(text, read, database)
  if (sageMaker && (!isLoopback(host) || isOpen)) {
    problems.push(
      '--sagemaker-local runs programs for whoever reaches it: listen on 127.0.0.1, without --disable-security-middleware.',
    )
  }
  if (sageMaker && workers > 1 && database.kind === 'server') {
    problems.push(`--sagemaker-local takes one process: leave out --workers ${workers}.`)
  }
  const config: ServerConfig = {
    host,
    port: read('port', readPort),
    database: { ...database, pendingWritesMax: read('pending-writes-max', readCount) },
    settings: {
      defaultArtifactRoot,
      artifactsDestination,
      servesArtifacts,
      truncatesLongValues: isYes(text('truncate-long-values')),
      staticPrefix: read('static-prefix', readPrefix),
      allowsLocalLocations: isLoopback(host),
      localArtifactRoots: localRoots([
        artifactsDestination,
        defaultArtifactRoot,
        ...readList(text('local-artifact-roots')),
      ]),
      remoteArtifactRoots: read('remote-artifact-roots', (uris) =>
        uris === '' && isLoopback(host) ? ['*'] : readList(uris).map(readRemoteRoot),
      ),
      s3: readS3Options(read),
      azure: readAzureOptions(text),
      givesLinks: isYes(text('direct-transfers')),
      presignedDownloadSeconds: read('presigned-download-url-ttl-seconds', readLinkSeconds),
      allowedArtifactSchemes: readList(text('allowed-artifact-schemes')),
      artifactLocationLengthMax: read('artifact-location-length-max', readCount),
      modelSourcePattern: read('model-source-pattern', readPattern),
    },
    allowedHosts: isOpen ? ['*'] : [...readList(text('allowed-hosts')), host],
    allowedOrigins: isOpen ? ['*'] : readList(text('cors-allowed-origins')),
    frameOptions: read('x-frame-options', oneOf(['SAMEORIGIN', 'DENY', 'NONE'])),
    exposesPrometheus: text('expose-prometheus') !== '',
    drainSeconds: read('drain-seconds', readSeconds),
    workers,
    uiDirectory,
    sageMaker,
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

/** A URI without user and password; a password may hold anything, so up to the last `@`. */
export function withoutPassword(uri: string): string {
  return uri.replace(/:\/\/.*@/, '://***@').replace(/(password=)[^&]*/gi, '$1***')
}

type Read = <Value>(name: string, parse: (text: string) => Value) => Value

/** The database from its URI, or from parts that were given one by one. */
function readDatabase(text: (name: string) => string, read: Read): DatabaseSource {
  const connectionsMax = read('database-pool-size', readConnections)
  const replica = read('read-replica-backend-store-uri', (uri) =>
    uri === '' ? undefined : parseServerUri(uri),
  )
  if (text('database-host') !== '') {
    const parts: AddressParts = {
      engine: text('database-engine'),
      host: text('database-host'),
      port: text('database-port'),
      name: text('database-name'),
      user: text('database-user'),
      password: text('database-password') || undefined,
      sslmode: text('database-sslmode'),
    }
    const address = read('database-host', (host) =>
      host === '' ? undefined : joinServerAddress(parts),
    )
    if (address !== undefined) return { kind: 'server', address, replica, connectionsMax }
  }
  return read('backend-store-uri', (uri): DatabaseSource => {
    if (serverKindOf(uri) !== undefined) {
      return { kind: 'server', address: parseServerUri(uri), replica, connectionsMax }
    }
    const synchronous = read('sqlite-synchronous', oneOf(['full', 'normal']))
    return { kind: 'sqlite', path: readSqlitePath(uri), synchronous }
  })
}

type DatabaseSource =
  | { kind: 'sqlite'; path: string; synchronous: Synchronous }
  | {
      kind: 'server'
      address: ServerAddress
      /** A read-only copy for searches and histories. */
      replica?: ServerAddress | undefined
      connectionsMax: number
    }

const SAGEMAKER_PORT = 5055

function readSageMaker(
  text: (name: string) => string,
  read: Read,
  database: DatabaseSource,
): SageMakerConfig | undefined {
  const port = read('sagemaker-local', (given) => {
    if (given === '' || /^(false|no|off)$/i.test(given)) return undefined
    return /^(true|yes|on)$/i.test(given) ? SAGEMAKER_PORT : readPort(given)
  })
  if (port === undefined) return undefined
  const beside = database.kind === 'sqlite' ? dirname(database.path) : '.'
  const images = text('sagemaker-images')
  return {
    port,
    directory: resolve(text('sagemaker-data-dir') || join(beside, 'sagemaker')),
    imagesFile: images === '' ? undefined : resolve(images),
  }
}

function readConnections(text: string): number {
  const count = readCount(text)
  if (count < 4) throw new Error('a server needs at least 4 connections')
  return count
}

function valueOf(
  { name, env: names, defaultsTo }: ServerOption,
  flags: OptionValues,
  env: Readonly<Record<string, string | undefined>>,
): string | boolean | undefined {
  return flags[name] ?? names.map((variable) => env[variable]).find(Boolean) ?? defaultsTo
}

function isYes(text: string): boolean {
  return /^(true|1|yes|on)$/i.test(text)
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

function readList(text: string): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean)
}

function readPort(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) throw new Error('a port is a number from 0 to 65535')
  return port
}

function readCount(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error('this must be a positive number')
  return Number(text)
}

function readSeconds(text: string): number {
  const seconds = Number(text)
  if (text === '' || !(seconds >= 0 && seconds <= 600))
    throw new Error('this is a time of 0 to 600 s')
  return seconds
}

function readPattern(text: string): string {
  return new RegExp(text).source === '(?:)' ? '' : text
}

function readPrefix(text: string): string {
  const prefix = text.replace(/\/+$/, '')
  if (prefix === '' || /^(\/[\w.-]+)+$/.test(prefix)) return prefix
  throw new Error('a prefix begins with / and has letters, digits, dots and dashes, like /mlflow')
}

function oneOf<const Choice extends string>(choices: readonly Choice[]) {
  return (text: string): Choice => {
    const choice = choices.find((candidate) => candidate.toLowerCase() === text.toLowerCase())
    if (choice === undefined) throw new Error(`this must be one of ${choices.join(', ')}`)
    return choice
  }
}

function readLocation(text: string): string {
  const location = parseLocation(text)
  if (location.scheme === 'file' || isObjectStore(location)) return location.uri
  if (location.scheme === 'other' && findHttpRoot(location, undefined)) return location.uri
  throw new Error(
    'artifacts can be kept in a local directory, in S3 (s3://bucket/prefix), Google (gs://) or Azure ' +
      '(wasbs://), or behind another server (http://host/api/2.0/mlflow-artifacts/artifacts)',
  )
}

function readRemoteRoot(text: string): string {
  if (text === '*' || isObjectStore(parseLocation(text))) return text
  throw new Error(`'${text}' is no bucket such as s3://bucket or s3://bucket/prefix`)
}

function isObjectStore(location: ArtifactLocation): boolean {
  return (
    location.scheme === 's3' || (location.scheme === 'other' && /^(wasbs|gs)$/.test(location.name))
  )
}

function readLinkSeconds(text: string): number {
  const seconds = readCount(text)
  // AWS refuses the links rather than the request to make them.
  if (seconds > 604_800) throw new Error('links are valid for a week (604800) at most')
  return seconds
}

function localRoots(uris: readonly string[]): string[] {
  return uris.map(parseLocation).flatMap((at) => (at.scheme === 'file' ? [at.path] : []))
}

/** The file of a SQLAlchemy-style SQLite URI: three slashes and a relative path, or four. */
function readSqlitePath(uri: string): string {
  const [, path] = /^sqlite(?:\+\w+)?:\/\/\/([^?#]+)$/.exec(uri) ?? []
  if (path === ':memory:') throw new Error('runs must survive a restart: name a file')
  if (path !== undefined) return resolve(decodeURIComponent(path))
  const scheme = /^([a-z][\w+]*):/.exec(uri)?.[1]
  if (scheme !== undefined && scheme !== 'file' && scheme !== 'sqlite') {
    throw new Error(`databases of the kind '${scheme}' are not served yet; use sqlite:///file.db`)
  }
  throw new Error('this must be a database such as sqlite:///millrace.db, not a directory of files')
}

/** Settings of a server whose data is all in one directory; tests and the demo start from it. */
export function localConfig(directory: string): ServerConfig {
  return {
    host: '127.0.0.1',
    port: 0,
    database: {
      kind: 'sqlite',
      path: resolve(directory, 'mlflow.db'),
      synchronous: 'full',
      pendingWritesMax: 20_000,
    },
    settings: {
      defaultArtifactRoot: 'mlflow-artifacts:/',
      artifactsDestination: resolve(directory, 'mlartifacts'),
      servesArtifacts: true,
      truncatesLongValues: true,
      staticPrefix: '',
      allowsLocalLocations: true,
      localArtifactRoots: [resolve(directory, 'mlartifacts')],
      remoteArtifactRoots: [],
      s3: DEFAULT_S3_OPTIONS,
      azure: {},
      givesLinks: true,
      presignedDownloadSeconds: 300,
      allowedArtifactSchemes: [],
      artifactLocationLengthMax: 2048,
      modelSourcePattern: '',
    },
    allowedHosts: [],
    allowedOrigins: [],
    frameOptions: 'SAMEORIGIN',
    exposesPrometheus: false,
    drainSeconds: 0,
    workers: 1,
    uiDirectory: undefined,
    sageMaker: undefined,
  }
}
