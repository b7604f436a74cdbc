import { createHash } from 'node:crypto'
import {
  type BackedUpFile,
  type Manifest,
  readLines,
  readManifest,
  readObject,
} from './backup-folder.ts'
import type { TableDigest } from './table-dump.ts'

/**
 * Reads a whole backup and compares every table, the list of files and every file with the manifest.
 * Resolves to what is wrong, one line each; empty when it can be restored.
 *
 * @throws Error when there is no such backup
 */
export async function verifyBackup(
  folder: string,
  id?: string,
): Promise<{ manifest: Manifest; problems: string[] }> {
  const manifest = await readManifest(folder, id)
  const problems: string[] = []
  for (const table of manifest.tables) {
    const problem = await verifyText(folder, manifest, { ...table, name: table.name })
    if (problem !== undefined) problems.push(`Table ${table.name} ${problem}.`)
  }
  const { list, files, fileBytes } = manifest.artifacts
  const problem = await verifyText(folder, manifest, { ...list, name: 'artifacts' })
  if (problem !== undefined)
    return { manifest, problems: [...problems, `The list of files ${problem}.`] }
  const seen = new Set<string>()
  const sum = { files: 0, bytes: 0 }
  for await (const line of readLines(folder, manifest.id, 'artifacts')) {
    const { uri, path, size, sha256 } = JSON.parse(line) as BackedUpFile
    sum.files++
    sum.bytes += size
    if (seen.has(sha256)) continue
    seen.add(sha256)
    const wrong = await verifyObject(folder, sha256, size)
    if (wrong !== undefined) problems.push(`The bytes of ${uri}/${path} ${wrong}.`)
  }
  if (sum.files !== files || sum.bytes !== fileBytes) {
    problems.push(`The list has ${sum.files} files, and there were ${files}.`)
  }
  return { manifest, problems }
}

async function verifyText(
  folder: string,
  { id }: Manifest,
  expected: TableDigest & { name: string },
): Promise<string | undefined> {
  try {
    const lines = readLines(folder, id, expected.name)
    let next = await lines.next()
    while (!next.done) next = await lines.next()
    const { rows, sha256 } = next.value
    if (rows !== expected.rows) return `has ${rows} rows, and there were ${expected.rows}`
    return sha256 === expected.sha256 ? undefined : 'has another checksum'
  } catch (error) {
    return `cannot be read: ${error instanceof Error ? error.message : String(error)}`
  }
}

async function verifyObject(
  folder: string,
  sha256: string,
  expectedBytes: number,
): Promise<string | undefined> {
  const hash = createHash('sha256')
  let bytes = 0
  try {
    for await (const chunk of readObject(folder, sha256) as AsyncIterable<Buffer>) {
      hash.update(chunk)
      bytes += chunk.length
    }
  } catch (error) {
    return `cannot be read: ${error instanceof Error ? error.message : String(error)}`
  }
  if (bytes !== expectedBytes) return `are ${bytes}, and there were ${expectedBytes}`
  return hash.digest('hex') === sha256 ? undefined : 'have another checksum'
}
