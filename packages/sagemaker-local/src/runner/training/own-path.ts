import { realpath } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * A path in the folder of an instance, such as `ml/model`; undefined when it is not there or the job
 * has put a link in its place or above it, which would lead to what only we may read. What runs in the
 * folder has to have ended.
 */
export async function findOwnPath(directory: string, path: string): Promise<string | undefined> {
  try {
    const wanted = join(await realpath(directory), path)
    return (await realpath(wanted)) === wanted ? wanted : undefined
  } catch {
    return undefined
  }
}
