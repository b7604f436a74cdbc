import { readFile, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { invalid } from '@millrace/api/errors'
import { parse } from 'yaml'
import { z } from 'zod'

const Entry = z.strictObject({
  /** The image as a client writes it; `*` stands for anything. */
  image: z.string().min(1),
  /** `3.11` */
  python: z
    .string()
    .regex(/^\d+\.\d+(\.\d+)?$/)
    .optional(),
  /** What to install, as in a requirements file. */
  packages: z.array(z.string().min(1)).optional(),
  /** An interpreter to use as it is, with what is installed in its environment. */
  interpreter: z.string().optional(),
  /** A folder with `train` or `serve`. */
  directory: z.string().optional(),
})

/** What the person at this machine says that an image stands for. */
export type ImageEntry = z.infer<typeof Entry>

const File = z.strictObject({ images: z.array(Entry) })

/**
 * The entry for an image in the images file, the first one that fits. Its paths are absolute.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when the file cannot be read as one
 */
export async function findImageEntry(
  file: string | undefined,
  image: string,
): Promise<ImageEntry | undefined> {
  if (file === undefined) return undefined
  const entry = (await readEntries(file)).find((entry) => fits(entry.image, image))
  if (!entry) return undefined
  const absolute = (path: string | undefined) =>
    path === undefined || isAbsolute(path) ? path : join(dirname(file), path)
  const interpreter = absolute(entry.interpreter)
  const directory = absolute(entry.directory)
  return { ...entry, ...(interpreter ? { interpreter } : {}), ...(directory ? { directory } : {}) }
}

const read = new Map<string, { modifiedMs: number; entries: ImageEntry[] }>()

async function readEntries(file: string): Promise<ImageEntry[]> {
  try {
    const { mtimeMs } = await stat(file)
    const known = read.get(file)
    if (known?.modifiedMs === mtimeMs) return known.entries
    const { images } = File.parse(parse(await readFile(file, 'utf8')))
    read.set(file, { modifiedMs: mtimeMs, entries: images })
    return images
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw invalid(`The images file ${file} cannot be used: ${reason}`)
  }
}

/** The parts of a pattern between its stars occur in that order, the first and the last at the ends. */
function fits(pattern: string, image: string): boolean {
  const [first = '', ...parts] = pattern.split('*')
  const last = parts.pop()
  if (last === undefined) return pattern === image
  if (!image.startsWith(first)) return false
  let at = first.length
  for (const part of parts) {
    const found = image.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return image.length - last.length >= at && image.endsWith(last)
}
