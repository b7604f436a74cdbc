import { createWriteStream, existsSync, type Stats, statSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve, sep } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { invalid } from '@millrace/api/errors'
import { hasBranch, readGitFacts } from './git-facts.ts'
import type { GitOptions } from './git-program.ts'
import { fetchRepository, isGitUrl, withoutCredentials } from './git-source.ts'
import { unpackZip } from './zip-source.ts'

/** A project's files on this machine, and where they are from; disposing it removes what was fetched. */
export interface FetchedProject extends AsyncDisposable {
  directory: string
  source: ProjectSource
}

/** What MLflow keeps of a source in a run's tags. */
export interface ProjectSource {
  /** `mlflow.source.name` */
  name: string
  commit?: string
  repositoryUrl?: string
  /** When the version that was asked for is a branch. */
  branch?: string
}

export interface FetchOptions extends GitOptions {
  /** Tells a person what takes long. */
  log: (line: string) => void
}

const DOWNLOAD_BYTES_MAX = 2 * 2 ** 30

/**
 * Finds a project and fetches what is not on this machine: a directory, a `.zip` file or URL, or a
 * git repository, each with `#subdirectory` (MLflow 3.17 `_fetch_project`). A version of a directory
 * that is a repository is a copy: nobody's working tree is changed.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE saying what cannot be had
 */
export async function fetchProject(
  uri: string,
  version: string | undefined,
  options: FetchOptions,
): Promise<FetchedProject> {
  const { base, subdirectory } = splitUri(uri)
  const path = localPath(base)
  const isZip = base.endsWith('.zip')
  if (version !== undefined && (isZip || (path && !isRepository(path)))) {
    throw invalid(
      `Setting a version is only supported for Git project URIs, which '${uri}' is not.`,
    )
  }
  if (path && !isZip && version === undefined && !isBareRepository(path)) {
    const directory = await findSubdirectory(await realpath(path), subdirectory)
    const source = await sourceOfDirectory(uri, base, path, directory, options)
    return { directory, source, [Symbol.asyncDispose]: async () => {} }
  }
  return fetchInto(uri, { base, subdirectory, path, isZip, version }, options)
}

interface Wanted {
  base: string
  subdirectory: string
  path: string | undefined
  isZip: boolean
  version: string | undefined
}

async function fetchInto(
  uri: string,
  { base, subdirectory, path, isZip, version }: Wanted,
  options: FetchOptions,
): Promise<FetchedProject> {
  if (!path && !isZip && !isGitUrl(base)) {
    throw invalid(
      `There is no project at '${uri}': name a directory, a .zip file or URL, or a git URL that ` +
        'begins with https://, ssh://, git:// or file://, or is user@host:path.',
    )
  }
  options.log(`Fetching the project from ${withoutCredentials(uri)}`)
  const folder = await mkdtemp(join(await realpath(tmpdir()), 'millrace-project-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    const name = await sourceName(uri, base, path, options)
    if (isZip) {
      await unpackZip(path ?? (await downloadZip(base, `${folder}.zip`, options.signal)), folder)
    } else {
      const url = path ? `file://${encodeURI(path)}` : base
      await fetchRepository(url, version, folder, {
        ...options,
        allowsFiles: url.startsWith('file:'),
      })
    }
    const directory = await findSubdirectory(folder, subdirectory)
    const facts = isZip ? undefined : await readGitFacts(directory, options)
    const original = path && !isZip ? await readGitFacts(path, options) : undefined
    const repositoryUrl = original?.repositoryUrl ?? (path || facts?.repositoryUrl)
    const isBranch = version !== undefined && (await hasBranch(directory, version, options))
    const source: ProjectSource = {
      name,
      ...(facts?.commit !== undefined && { commit: facts.commit }),
      ...(!isZip && repositoryUrl !== undefined && { repositoryUrl }),
      ...(isBranch && { branch: version }),
    }
    return { directory, source, [Symbol.asyncDispose]: remove }
  } catch (error) {
    await remove()
    throw error
  } finally {
    await rm(`${folder}.zip`, { force: true })
  }
}

/** `URI#subdirectory`, with quotes around it taken off. */
function splitUri(uri: string): { base: string; subdirectory: string } {
  const unquoted = uri.replace(/^['"]+|['"]+$/g, '')
  const at = unquoted.indexOf('#')
  if (at < 0) return { base: unquoted, subdirectory: '' }
  const subdirectory = unquoted.slice(at + 1)
  if (subdirectory.includes('.')) {
    throw invalid(`'.' is not allowed in project subdirectory paths: '${subdirectory}'.`)
  }
  return { base: unquoted.slice(0, at), subdirectory }
}

/** The path of what is on this machine. */
function localPath(base: string): string | undefined {
  if (base.startsWith('file://')) {
    const url = URL.parse(base)
    if (url && (url.host === '' || url.host === 'localhost')) {
      const path = fileURLToPath(`file://${url.pathname}`)
      if (existsSync(path)) return path
    }
    throw invalid(`There is no project at '${base}'.`)
  }
  return base !== '' && existsSync(base) ? resolve(base) : undefined
}

async function findSubdirectory(root: string, subdirectory: string): Promise<string> {
  const directory = await realpath(join(root, subdirectory)).catch(() => undefined)
  const isInside = directory === root || directory?.startsWith(root + sep)
  const isDirectory = directory !== undefined && statOf(directory)?.isDirectory()
  if (isInside && isDirectory) return directory
  if (subdirectory === '') throw invalid(`The project ${root} is no directory.`)
  throw invalid(`Could not find subdirectory ${subdirectory} of the project.`)
}

async function sourceOfDirectory(
  uri: string,
  base: string,
  path: string,
  directory: string,
  options: GitOptions,
): Promise<ProjectSource> {
  const facts = await readGitFacts(directory, options)
  return {
    name: await sourceName(uri, base, path, options),
    ...(facts?.commit !== undefined && { commit: facts.commit }),
    ...(facts?.repositoryUrl !== undefined && { repositoryUrl: facts.repositoryUrl }),
  }
}

async function sourceName(
  uri: string,
  base: string,
  path: string | undefined,
  options: GitOptions,
): Promise<string> {
  // MLflow keeps a URI with a subdirectory as it was written.
  return path && !uri.includes('#') ? nameOfPath(base, path, options) : withoutCredentials(uri)
}

/** `file://repository#path` of what is in a repository, else the path (`_get_git_url_if_present`). */
async function nameOfPath(base: string, path: string, options: GitOptions): Promise<string> {
  const facts = await readGitFacts(path, options)
  if (!facts) return base.startsWith('file://') ? path : resolve(base)
  const inside = relative(facts.root, await realpath(path))
  return inside === '' ? `file://${facts.root}` : `file://${facts.root}#${inside}`
}

function isRepository(path: string): boolean {
  return existsSync(join(path, '.git')) || isBareRepository(path)
}

function isBareRepository(path: string): boolean {
  return ['HEAD', 'objects', 'refs'].every((name) => existsSync(join(path, name)))
}

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false })
}

async function downloadZip(url: string, file: string, signal: AbortSignal): Promise<string> {
  if (!/^https?:\/\//.test(url)) throw invalid(`There is no zip file at '${url}'.`)
  const shown = withoutCredentials(url)
  const response = await fetch(url, { signal }).catch((error: Error) => {
    throw invalid(`Unable to retrieve ZIP file ${shown}: ${reasonOf(error)}`)
  })
  if (!response.ok || !response.body) {
    await response.body?.cancel()
    throw invalid(`Unable to retrieve ZIP file ${shown}: the server answered ${response.status}.`)
  }
  let bytes = 0
  const limit = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      const isTooLarge = bytes > DOWNLOAD_BYTES_MAX
      done(
        isTooLarge ? invalid(`${shown} is larger than ${DOWNLOAD_BYTES_MAX} bytes.`) : null,
        chunk,
      )
    },
  })
  const target = createWriteStream(file, { flags: 'wx', mode: 0o600 })
  await pipeline(response.body, limit, target, { signal })
  return file
}

function reasonOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message
}
