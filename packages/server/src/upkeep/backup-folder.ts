import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib'
import { z } from 'zod'

/**
 * A folder of backups: `objects/` holds the bytes of artifacts by their SHA-256, `snapshots/<id>/`
 * one backup each, `manifest.json` there being written last. A snapshot is made in a folder that
 * begins with a dot and then renamed, so that what looks whole is whole.
 */
const FORMAT = 1
const MANIFEST = 'manifest.json'
const PARTIAL = '.partial-'

const Digest = z.object({ rows: z.number(), bytes: z.number(), sha256: z.string() })

const Manifest = z.object({
  format: z.literal(FORMAT),
  id: z.string(),
  /** When the snapshot of the database was taken; what was acknowledged before is in it. */
  taken: z.string(),
  database: z.enum(['sqlite', 'postgresql', 'mysql']),
  migrations: z.array(z.string()),
  tables: z.array(z.object({ name: z.string(), columns: z.array(z.string()), ...Digest.shape })),
  /** The highest ids ever given out, by table. */
  lastIds: z.record(z.string(), z.number()),
  artifacts: z.object({
    files: z.number(),
    fileBytes: z.number(),
    list: Digest,
    /** Locations whose files are not in the backup, because this program could not reach them. */
    unreachable: z.array(z.string()),
  }),
})
export type Manifest = z.output<typeof Manifest>

/** One file of a run or logged model: below its artifact URI, with its bytes among the objects. */
export interface BackedUpFile {
  uri: string
  path: string
  size: number
  etag: string
  sha256: string
}

/** Ids of the complete backups in a folder, oldest first. */
export async function listSnapshots(folder: string): Promise<string[]> {
  const names = existsSync(join(folder, 'snapshots'))
    ? await readdir(join(folder, 'snapshots'))
    : []
  return names.filter((name) => !name.startsWith('.')).sort()
}

/**
 * The manifest of a backup, of the latest one when none is named.
 *
 * @throws Error in a sentence when there is none, or a newer program made it
 */
export async function readManifest(folder: string, id?: string): Promise<Manifest> {
  const ids = await listSnapshots(folder)
  const wanted = id ?? ids.at(-1)
  if (wanted === undefined) throw new Error(`There is no complete backup in ${folder}.`)
  if (!ids.includes(wanted)) {
    throw new Error(`There is no backup '${wanted}' in ${folder}, only ${ids.join(', ')}.`)
  }
  const parsed = Manifest.safeParse(
    JSON.parse(await readFile(join(folder, 'snapshots', wanted, MANIFEST), 'utf8')),
  )
  if (parsed.success) return parsed.data
  throw new Error(`The manifest of backup '${wanted}' is not one that this program can read.`)
}

/** A snapshot in the making. */
export interface PartialSnapshot extends AsyncDisposable {
  readonly id: string
  /** Writes compressed text and resolves to what the generator returns. */
  writeText<Result>(name: string, pieces: AsyncGenerator<string, Result>): Promise<Result>
  /** Makes it a backup. */
  complete(manifest: Omit<Manifest, 'format' | 'id'>): Promise<void>
}

/**
 * Starts a backup in a folder, which is made, or is empty, or has backups already. Disposing it
 * before it is complete removes it.
 */
export async function startSnapshot(folder: string): Promise<PartialSnapshot> {
  const snapshots = join(folder, 'snapshots')
  if (existsSync(folder) && !(await stat(folder)).isDirectory()) {
    throw new Error(`${folder} is a file. Backups are kept in a directory.`)
  }
  if (existsSync(folder) && !existsSync(snapshots) && (await readdir(folder)).length > 0) {
    throw new Error(`${folder} holds something that is no backup. Choose an empty directory.`)
  }
  await mkdir(snapshots, { recursive: true, mode: 0o700 })
  await removeAbandoned(snapshots)
  await removeAbandoned(join(folder, 'objects'))
  const id = new Date().toISOString().replace(/[:.]/g, '-')
  const partial = join(snapshots, `${PARTIAL}${id}`)
  await mkdir(partial, { mode: 0o700 })
  return {
    id,
    async writeText<Result>(name: string, pieces: AsyncGenerator<string, Result>) {
      let result: { value: Result } | undefined
      const kept = async function* () {
        for (;;) {
          const next = await pieces.next()
          if (next.done) {
            result = { value: next.value }
            return
          }
          yield Buffer.from(next.value)
        }
      }
      const level = { [constants.ZSTD_c_compressionLevel]: 3 }
      await pipeline(
        Readable.from(kept(), { objectMode: false }),
        createZstdCompress({ params: level }),
        createWriteStream(join(partial, textFile(name)), { mode: 0o600, flush: true }),
      )
      if (result === undefined) throw new Error(`The text '${name}' was cut short`)
      return result.value
    },
    async complete(manifest) {
      const text = JSON.stringify({ format: FORMAT, id, ...manifest }, null, 2)
      const file = await open(join(partial, MANIFEST), 'w', 0o600)
      await file.writeFile(text)
      await file.sync()
      await file.close()
      await syncFolder(partial)
      await rename(partial, join(snapshots, id))
      await syncFolder(snapshots)
    },
    async [Symbol.asyncDispose]() {
      await rm(partial, { recursive: true, force: true })
    },
  }
}

const ABANDONED_AFTER_MS = 7 * 24 * 3600 * 1000

/** Removes what a backup that was killed left behind; one that is under way is written to. */
async function removeAbandoned(folder: string): Promise<void> {
  for (const name of existsSync(folder) ? await readdir(folder) : []) {
    if (!name.startsWith('.')) continue
    const path = join(folder, name)
    const found = await stat(path).catch(() => undefined)
    if (found === undefined || found.mtimeMs > Date.now() - ABANDONED_AFTER_MS) continue
    await rm(path, { recursive: true, force: true })
  }
}

function textFile(name: string): string {
  return `${name}.jsonl.zst`
}

/** The lines of a text of a backup; ends with what they are checked by. */
export async function* readLines(
  folder: string,
  id: string,
  name: string,
): AsyncGenerator<string, z.output<typeof Digest>, undefined> {
  const hash = createHash('sha256')
  const digest = { rows: 0, bytes: 0 }
  let rest: Buffer[] = []
  const file = createReadStream(join(folder, 'snapshots', id, textFile(name)))
  const decompress = createZstdDecompress()
  file.on('error', (error) => decompress.destroy(error))
  for await (const chunk of file.pipe(decompress) as AsyncIterable<Buffer>) {
    hash.update(chunk)
    digest.bytes += chunk.length
    let from = 0
    for (let to = chunk.indexOf(10); to >= 0; to = chunk.indexOf(10, from)) {
      rest.push(chunk.subarray(from, to))
      digest.rows++
      yield Buffer.concat(rest).toString()
      rest = []
      from = to + 1
    }
    rest.push(chunk.subarray(from))
  }
  return { ...digest, sha256: hash.digest('hex') }
}

function objectPath(folder: string, sha256: string): string {
  return join(folder, 'objects', sha256.slice(0, 2), sha256)
}

/** Whether the bytes with that hash are in the folder, in that length. */
export async function hasObject(folder: string, sha256: string, size: number): Promise<boolean> {
  const found = await stat(objectPath(folder, sha256)).catch(() => undefined)
  return found?.size === size
}

/** Keeps bytes under their hash, and resolves to that and their number once they are on disk. */
export async function writeObject(
  folder: string,
  body: Readable,
): Promise<{ sha256: string; size: number }> {
  const temporary = join(folder, 'objects', `${PARTIAL}${randomUUID()}`)
  await mkdir(dirname(temporary), { recursive: true, mode: 0o700 })
  const hash = createHash('sha256')
  let size = 0
  try {
    await pipeline(
      body,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          hash.update(chunk)
          size += chunk.length
          yield chunk
        }
      },
      createWriteStream(temporary, { mode: 0o600, flush: true }),
    )
    const sha256 = hash.digest('hex')
    const path = objectPath(folder, sha256)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await rename(temporary, path)
    await syncFolder(dirname(path))
    return { sha256, size }
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
}

/** The bytes with that hash. */
export function readObject(folder: string, sha256: string): Readable {
  return createReadStream(objectPath(folder, sha256))
}

/**
 * Deletes all but the latest backups, and the objects that these do not name, unless another backup
 * is under way, which may count on any of them. Returns the ids of the deleted ones.
 */
export async function keepLatest(folder: string, count: number): Promise<string[]> {
  const ids = await listSnapshots(folder)
  const doomed = ids.slice(0, Math.max(0, ids.length - count))
  if (doomed.length === 0) return []
  for (const id of doomed) {
    const path = join(folder, 'snapshots', id)
    const hidden = join(folder, 'snapshots', `.doomed-${id}`)
    await rename(path, hidden)
    await rm(hidden, { recursive: true })
  }
  const others = (await readdir(join(folder, 'snapshots'))).some((name) => name.startsWith(PARTIAL))
  if (others) return doomed
  const named = new Set<string>()
  for (const id of await listSnapshots(folder)) {
    for await (const line of readLines(folder, id, 'artifacts')) {
      named.add((JSON.parse(line) as BackedUpFile).sha256)
    }
  }
  const objects = join(folder, 'objects')
  for (const prefix of existsSync(objects) ? await readdir(objects) : []) {
    if (prefix.startsWith('.')) continue
    for (const sha256 of await readdir(join(objects, prefix))) {
      if (!named.has(sha256)) await unlink(join(objects, prefix, sha256))
    }
  }
  return doomed
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
