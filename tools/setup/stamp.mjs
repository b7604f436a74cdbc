import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

/** One hash over several texts or buffers, in their order. */
export function hashOf(parts) {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part).update('\0')
  return hash.digest('hex')
}

/** All files below a folder that `isWanted` accepts by name, in a stable order. */
export function filesBelow(folder, isWanted) {
  const entries = readdirSync(folder, { withFileTypes: true })
  return entries
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      if (!isWanted(entry.name)) return []
      const path = join(folder, entry.name)
      return entry.isDirectory() ? filesBelow(path, isWanted) : [path]
    })
}

/** One hash over names, as seen from `folder`, and contents of files. */
export function hashOfFiles(folder, paths) {
  return hashOf(paths.flatMap((path) => [relative(folder, path), readFileSync(path)]))
}
