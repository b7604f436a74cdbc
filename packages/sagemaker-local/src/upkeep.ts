import { type ImageStore, removeUnusedBlobs } from './registry/image-store.ts'
import { type ObjectStore, removeOrphans } from './s3/object-store.ts'

const EVERY_MS = 24 * 3600 * 1000

/**
 * Removes what crashes and given up uploads have left, at once and then daily. What is younger than
 * a day stays, so nothing that a request or a job is about to name is touched. Disposing waits for
 * what has begun.
 */
export function startUpkeep(
  { objects, images }: { objects: ObjectStore; images: ImageStore },
  onFailure: (error: unknown) => void,
): AsyncDisposable {
  const sweep = async () => {
    try {
      await removeOrphans(objects)
      await removeUnusedBlobs(images)
    } catch (error) {
      onFailure(error)
    }
  }
  let sweeping = sweep()
  const timer = setInterval(() => {
    sweeping = sweeping.then(sweep)
  }, EVERY_MS).unref()
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await sweeping
    },
  }
}
