import { createHash } from 'node:crypto'
import { text } from 'node:stream/consumers'
import type { File } from '@google-cloud/storage'
import type { ArtifactPath } from './artifact-path.ts'
import { toGcsFailure } from './gcs-bucket.ts'
import { requestOfGoogle } from './gcs-request.ts'
import { objectType } from './object-entries.ts'
import type { PartTarget, PartUpload } from './part-upload.ts'

/** Google has the bytes so far and waits for more. */
const INCOMPLETE = 308

/**
 * An object to be: a small one is sent with its SHA-256 as metadata, a larger one by a resumable
 * upload, whose object gets it afterwards; both are metadata of the very generation that was made.
 * The SDK's own stream for these is not used: it does not finish when it is given many chunks.
 */
export function gcsTarget(
  file: File,
  path: ArtifactPath,
  signal: AbortSignal | undefined,
): PartTarget {
  const told = <Output>(answer: Promise<Output>): Promise<Output> =>
    answer.catch((error: unknown) => {
      throw toGcsFailure(error, file.bucket.name, path)
    })
  return {
    async putWhole(bytes, sha256) {
      signal?.throwIfAborted()
      const metadata = { contentType: objectType(path), metadata: { sha256 } }
      await told(file.save(bytes, { resumable: false, validation: 'crc32c', metadata }))
    },
    async begin() {
      const metadata = { contentType: objectType(path) }
      const [session] = await told(file.createResumableUpload({ metadata }))
      return resumableUpload(file, session, told)
    },
  }
}

function resumableUpload(
  file: File,
  session: string,
  told: <Output>(answer: Promise<Output>) => Promise<Output>,
): PartUpload {
  let sentBytes = 0
  const md5 = createHash('md5')
  let made: { generation?: string; md5Hash?: string } = {}
  return {
    async send(bytes, _number, { signal, isLast }) {
      const end = sentBytes + bytes.length
      const span = bytes.length === 0 ? '*' : `${sentBytes}-${end - 1}`
      const range = `bytes ${span}/${isLast ? end : '*'}`
      const headers = { 'content-length': bytes.length, 'content-range': range }
      // The address of the upload is its own credential.
      const request = { method: 'PUT', headers, signal }
      const response = await told(
        requestOfGoogle(session, request, { bytes, statuses: [200, 201, INCOMPLETE] }),
      )
      const answer = await told(text(response))
      md5.update(bytes)
      sentBytes = end
      if (isLast) made = JSON.parse(answer) as typeof made
    },
    async complete(sha256) {
      const { generation, md5Hash } = made
      const version = file.bucket.file(file.name, generation === undefined ? {} : { generation })
      if (md5Hash !== undefined && md5Hash !== md5.digest('base64')) {
        await version.delete({ ignoreNotFound: true })
        throw await told(Promise.reject(new Error('Bytes were damaged on their way')))
      }
      await told(version.setMetadata({ metadata: { sha256 } }))
    },
    async abort() {
      // What Google does not hear of, it forgets after a week.
      await fetch(session, { method: 'DELETE' }).catch(() => undefined)
    },
  }
}
