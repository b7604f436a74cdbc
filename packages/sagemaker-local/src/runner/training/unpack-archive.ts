import { mkdir } from 'node:fs/promises'
import { invalid } from '@millrace/api/errors'
import { extract, list, type ReadEntry } from 'tar'

const ENTRIES_MAX = 100_000
const BYTES_MAX = 10 * 2 ** 30

/**
 * Unpacks a tar, compressed or not, into a folder. It is read through first and refused, with nothing
 * written, when a member would leave the folder, is a link or a device, comes twice, or when there are
 * too many of them or too much in them.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE that names the member
 */
export async function unpackArchive(file: string, directory: string, name: string): Promise<void> {
  const seen = new Set<string>()
  let bytes = 0
  let refusal: string | undefined
  const look = (entry: ReadEntry) => {
    bytes += entry.size
    refusal ??= reasonAgainst(entry, seen, bytes)
  }
  try {
    await list({ file, onReadEntry: look, strict: true })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw invalid(`${name} is not an archive that can be read (${reason}).`)
  }
  if (refusal !== undefined) throw invalid(`${name} is refused: ${refusal}.`)
  if (seen.size === 0) throw invalid(`${name} is not an archive, or one with nothing in it.`)
  await mkdir(directory, { recursive: true })
  await extract({ file, cwd: directory, strict: true, preserveOwner: false, noChmod: false })
}

function reasonAgainst(entry: ReadEntry, seen: Set<string>, bytes: number): string | undefined {
  const path = entry.path.replace(/\/+$/, '').replace(/^(\.\/)+/, '')
  const isFolder = entry.type === 'Directory' || entry.type === 'GNUDumpDir'
  if (path === '' || path === '.') {
    seen.add('.')
    return undefined
  }
  if (/^([/\\]|[A-Za-z]:)/.test(path) || path.split(/[/\\]/).includes('..')) {
    return `its member '${path}' would be written outside of the folder`
  }
  if (!isFolder && !['File', 'OldFile', 'ContiguousFile'].includes(entry.type)) {
    return `its member '${path}' is a ${entry.type}, and only files and folders are unpacked`
  }
  if (!isFolder && seen.has(path)) return `its member '${path}' comes twice`
  seen.add(path)
  if (seen.size > ENTRIES_MAX) return `it has more than ${ENTRIES_MAX} members`
  if (bytes > BYTES_MAX) return `it holds more than ${BYTES_MAX} bytes`
  return undefined
}
