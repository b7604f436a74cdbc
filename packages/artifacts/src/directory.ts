import { constants, existsSync } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants

/**
 * A directory held open. Its children are reached through `path`.
 *
 * Node has no `openat`. On Linux `/proc/self/fd/N` stands for the very directory behind the
 * descriptor, so `/proc/self/fd/N/name` is `openat(N, "name")`: renaming or swapping a component
 * for a link while we walk cannot lead outside, because no path is ever resolved twice. Elsewhere
 * `path` is an ordinary path; each component is still opened without following links, but someone
 * who can write inside the root may win a race.
 */
export interface Directory extends AsyncDisposable {
  readonly handle: FileHandle
  readonly path: string
  readonly byDescriptor: boolean
}

/** Whether children can be reached through descriptors on this system. */
export const canOpenByDescriptor = existsSync('/proc/self/fd')

/** Opens a store's root; the operator may have made it a link. */
export async function openRootDirectory(path: string, byDescriptor: boolean): Promise<Directory> {
  return directoryOf(await open(path, O_RDONLY | O_DIRECTORY), path, byDescriptor)
}

/** Opens a child that must be a directory itself; a file or a link is ENOTDIR. */
export async function openChildDirectory(
  parent: Directory,
  name: string | Buffer,
): Promise<Directory> {
  const path = childPath(parent, name)
  const handle = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  return directoryOf(handle, path.toString(), parent.byDescriptor)
}

/** Opens a child directory, creating it (durably, for us alone) when it is missing. */
export async function openOrCreateChildDirectory(
  parent: Directory,
  name: string,
): Promise<Directory> {
  for (;;) {
    const isNew = await mkdir(childPath(parent, name), { mode: 0o700 }).then(
      () => true,
      ignore(false, 'EEXIST'),
    )
    if (isNew) await parent.handle.sync()
    const child = await openChildDirectory(parent, name).catch(ignore(undefined, 'ENOENT'))
    // Undefined when a concurrent delete took it; a parent that is gone fails in mkdir above.
    if (child) return child
  }
}

/** Creates a store's root with its parents, durably, and opens it. */
export async function openOrCreateRootDirectory(
  path: string,
  byDescriptor: boolean,
): Promise<Directory> {
  const firstCreated = await mkdir(path, { recursive: true, mode: 0o700 })
  if (firstCreated !== undefined) await syncParents(path, firstCreated)
  return await openRootDirectory(path, byDescriptor)
}

async function syncParents(path: string, firstCreated: string) {
  await using parent = await openRootDirectory(dirname(path), false)
  await parent.handle.sync()
  if (path !== firstCreated) await syncParents(dirname(path), firstCreated)
}

/** The path by which a child is reached; names that are not UTF-8 stay bytes. */
export function childPath(directory: Directory, name: string): string
export function childPath(directory: Directory, name: string | Buffer): string | Buffer
export function childPath(directory: Directory, name: string | Buffer): string | Buffer {
  if (typeof name === 'string') return `${directory.path}/${name}`
  return Buffer.concat([Buffer.from(`${directory.path}/`), name])
}

/** A rejection handler that gives `value` for these error codes and throws any other error. */
export function ignore<Value>(value: Value, ...codes: string[]): (error: unknown) => Value {
  return (error) => {
    if (hasCode(error, ...codes)) return value
    throw error
  }
}

/** Whether this is a system error with one of these codes. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

function directoryOf(handle: FileHandle, path: string, byDescriptor: boolean): Directory {
  return {
    handle,
    path: byDescriptor ? `/proc/self/fd/${handle.fd}` : path,
    byDescriptor,
    [Symbol.asyncDispose]: () => handle.close(),
  }
}
