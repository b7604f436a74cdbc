import { once } from 'node:events'
import { Parser, type ReadEntry } from 'tar'

/** An entry of an archive, whose contents are read from it as a stream. */
export type TarEntry = ReadEntry

/**
 * Reads a tar archive, compressed by gzip or not, and calls `take` for one entry after the other;
 * it has to read the entry's contents or `resume()` it.
 *
 * @throws what `take` throws, and Error for an archive that is damaged or ends early
 */
export async function readTar(
  chunks: AsyncIterable<Uint8Array>,
  take: (entry: TarEntry) => Promise<void>,
): Promise<void> {
  const failed = new AbortController()
  let work = Promise.resolve()
  const parser = new Parser({
    strict: true,
    onReadEntry: (entry) => {
      work = work.then(() => take(entry))
      work.catch((error: unknown) => failed.abort(error))
    },
  })
  parser.on('error', (error: unknown) => failed.abort(error))
  const ended = once(parser, 'end', { signal: failed.signal })
  // Awaited below; until then a failure is not one that nobody looks at.
  ended.catch(() => undefined)
  try {
    for await (const chunk of chunks) {
      failed.signal.throwIfAborted()
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
      if (!parser.write(bytes)) await once(parser, 'drain', { signal: failed.signal })
    }
    parser.end()
    await ended
    await work
  } catch (error) {
    failed.signal.throwIfAborted()
    throw error
  }
}
