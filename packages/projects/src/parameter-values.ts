import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ApiError, invalid } from '@millrace/api/errors'
import type { EntryParameters } from './entry-command.ts'
import type { EntryPoint } from './mlproject-file.ts'
import { fetchRemote, type RemoteOptions } from './remote-files.ts'

export interface ResolveOptions extends RemoteOptions {
  /** Where what is fetched stays; a temporary directory, which is removed, when there is none. */
  storageDirectory: string | undefined
  /** The project's, where a path is looked for that is not below the current directory. */
  projectDirectory: string
}

/** Values with paths in place of what was fetched; disposing removes what is temporary. */
export interface ResolvedParameters extends AsyncDisposable {
  parameters: EntryParameters
}

const URI = /^[a-z][a-z0-9+.-]*:/i

/**
 * Makes the paths of `path` parameters absolute and fetches those that are elsewhere (MLflow 3.17
 * `Parameter.compute_value`).
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for a path that does not exist
 */
export async function resolvePaths(
  entryPoint: EntryPoint,
  { declared, extra }: EntryParameters,
  options: ResolveOptions,
): Promise<ResolvedParameters> {
  let storage: string | undefined
  const remove = async () => {
    if (storage !== undefined && options.storageDirectory === undefined) {
      await rm(storage, { recursive: true, force: true })
    }
  }
  const resolved = new Map(declared)
  try {
    for (const [i, [name, { type }]] of [...entryPoint.parameters].entries()) {
      const value = declared.get(name)
      if (type !== 'path' || value === undefined) continue
      const local = localPath(name, value, options.projectDirectory)
      if (local === undefined) storage ??= await makeStorage(options.storageDirectory)
      resolved.set(
        name,
        local ?? (await fetchParameter(name, value, join(storage ?? '', `param_${i}`), options)),
      )
    }
  } catch (error) {
    await remove()
    throw error
  }
  return { parameters: { declared: resolved, extra }, [Symbol.asyncDispose]: remove }
}

/**
 * Looks at the `uri` parameters.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for one that is none
 */
export function checkUris({ parameters }: EntryPoint, { declared }: EntryParameters): void {
  for (const [name, { type }] of parameters) {
    const value = declared.get(name) ?? ''
    if (type === 'uri' && !URI.test(value)) {
      throw invalid(`Expected URI for parameter ${name} but got ${value}`)
    }
  }
}

/**
 * The absolute path of a local value; undefined when it is elsewhere. MLflow looks in the current
 * directory only, which makes a default that names a file of the project depend on where one stands.
 */
function localPath(name: string, value: string, projectDirectory: string): string | undefined {
  const isFileUri = /^file:(?:\/(?!\/)|\/\/\/|[^/])/i.test(value)
  if (URI.test(value) && !isFileUri) return undefined
  const path = isFileUri ? value.replace(/^file:(?:\/\/)?/i, '') : value
  // MLflow decodes percent signs in plain paths too; a file whose name has them comes first.
  const candidates = [path, decoded(path)]
  const found = [...candidates, ...candidates.map((path) => resolve(projectDirectory, path))].find(
    (candidate) => existsSync(candidate),
  )
  if (found !== undefined) return resolve(found)
  throw invalid(
    `Got value ${value} for parameter ${name}, but no such file or directory was found.`,
  )
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

async function makeStorage(storageDirectory: string | undefined): Promise<string> {
  if (storageDirectory !== undefined) await mkdir(storageDirectory, { recursive: true })
  return mkdtemp(join(await realpath(storageDirectory ?? tmpdir()), 'millrace-storage-'))
}

async function fetchParameter(
  name: string,
  uri: string,
  directory: string,
  options: RemoteOptions,
): Promise<string> {
  await mkdir(directory, { mode: 0o700 })
  try {
    return await fetchRemote(uri, directory, options)
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    const { code, message } = error
    throw new ApiError(code, `Parameter ${name} is ${uri}, which cannot be fetched: ${message}`, {
      cause: error,
    })
  }
}
