import { Readable } from 'node:stream'
import type { BodyCheck } from './body-check.ts'

/** Tries in a row that bring no byte; object stores ask clients to expect broken bodies. */
const FRUITLESS_TRIES_MAX = 3

export interface BegunDownload {
  /** The first and last byte of the whole. */
  start: number
  end: number
  /** The body from `start` on. */
  first: Readable
  /** The same version from a later byte on. */
  read(start: number): Promise<Readable>
  /** Ends every request of the download. */
  stop: AbortController
  /** Of the whole object: its last bytes are given only if they and all before are the right ones. */
  check?: BodyCheck | undefined
}

/**
 * The bytes of an object as one stream. A body that breaks off, or falls silent, is taken up again
 * where it ended; what cannot be brought to its end fails the stream rather than ends it early.
 */
export function resumableBody(download: BegunDownload): Readable {
  const chunks = resumedChunks(download)
  return new Readable({
    read() {
      chunks.next().then(
        ({ done, value }) => this.push(done === true ? null : value),
        (error: Error) => this.destroy(error),
      )
    },
    destroy(error, callback) {
      // The iterator may be waiting for a byte that never comes; it is not waited for.
      download.stop.abort()
      download.first.destroy()
      callback(error)
    },
  })
}

async function* resumedChunks({
  start,
  end,
  first,
  read,
  stop,
  check,
}: BegunDownload): AsyncGenerator<Uint8Array, void, undefined> {
  let at = start
  let body = first
  let held: Uint8Array | undefined
  for (let tries = 1; ; tries++) {
    try {
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        at += chunk.length
        tries = 1
        check?.update(chunk)
        if (!check) yield chunk
        else {
          if (held) yield held
          held = chunk
        }
      }
      if (at <= end) throw new Error(`The store ended a body ${end + 1 - at} bytes early`)
      break
    } catch (error) {
      if (at > end) break
      if (stop.signal.aborted || tries >= FRUITLESS_TRIES_MAX) throw error
      body = await read(at)
    }
  }
  await check?.verify()
  if (held) yield held
}
