import { S3Error } from './s3-error.ts'

// S3's own limit for all that stands before the file.
const FIELDS_MAX_BYTES = 20 * 1024
const HEAD_MAX_BYTES = 8 * 1024

/** A form that uploads a file (`multipart/form-data`), read as far as the file. */
export interface PostForm {
  /** By lower-case name. */
  fields: Map<string, string>
  fileName: string
  /** The bytes of the file, which end before whatever follows it. */
  file: AsyncIterable<Uint8Array>
}

/** Reads the fields of a form up to its file, which is not read yet. */
export async function readPostForm(
  body: AsyncIterable<Uint8Array>,
  contentType: string,
): Promise<PostForm> {
  const [, quoted, plain] = /\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType) ?? []
  const boundary = quoted ?? plain
  if (boundary === undefined) throw malformed()
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  const reader = createReader(body)
  await reader.until(delimiter, HEAD_MAX_BYTES)
  const fields = new Map<string, string>()
  for (let left = FIELDS_MAX_BYTES; ; ) {
    const head = await reader.until(Buffer.from('\r\n\r\n'), HEAD_MAX_BYTES)
    const [, name] = /^content-disposition:.*?;\s*name="([^"]*)"/im.exec(head) ?? []
    if (name === undefined) throw missingFile()
    if (name.toLowerCase() === 'file') {
      const [, fileName = ''] = /;\s*filename="([^"]*)"/i.exec(head) ?? []
      return {
        fields,
        fileName: fileName.replace(/^.*[\\/]/, ''),
        file: reader.streamUntil(delimiter),
      }
    }
    const value = await reader.until(delimiter, left)
    left -= value.length
    fields.set(name.toLowerCase(), value)
  }
}

interface Reader {
  /** The text before a mark, and the mark is passed; refused when it is longer than that. */
  until(mark: Buffer, maxBytes: number): Promise<string>
  streamUntil(mark: Buffer): AsyncGenerator<Uint8Array>
}

function createReader(body: AsyncIterable<Uint8Array>): Reader {
  const source = body[Symbol.asyncIterator]()
  // The first boundary of a form has no line before it; with this it is like the others.
  let rest: Buffer = Buffer.from('\r\n')
  const fill = async () => {
    const { done, value } = await source.next()
    if (!done) rest = Buffer.concat([rest, value])
    return !done
  }
  return {
    until: async (mark, maxBytes) => {
      for (;;) {
        const at = rest.indexOf(mark)
        const length = at === -1 ? rest.length - mark.length : at
        if (length > maxBytes) {
          throw new S3Error('EntityTooLarge', {
            message: 'The fields of the form before the file are too long.',
          })
        }
        if (at !== -1) {
          const text = rest.subarray(0, at).toString('utf8')
          rest = rest.subarray(at + mark.length)
          return text
        }
        if (!(await fill())) throw missingFile()
      }
    },
    streamUntil: async function* (mark) {
      for (;;) {
        const at = rest.indexOf(mark)
        if (at !== -1) {
          yield rest.subarray(0, at)
          return
        }
        // The mark may have begun in the bytes that are here.
        const sure = Math.max(rest.length - mark.length + 1, 0)
        if (sure > 0) yield rest.subarray(0, sure)
        rest = rest.subarray(sure)
        if (!(await fill())) throw new S3Error('IncompleteBody')
      }
    },
  }
}

function malformed(): S3Error {
  return new S3Error('InvalidRequest', {
    message: 'The body of your POST request is not well-formed multipart/form-data.',
  })
}

function missingFile(): S3Error {
  return new S3Error('InvalidArgument', {
    message: 'POST requires exactly one file upload per request.',
    details: { ArgumentName: 'file', ArgumentValue: '0' },
  })
}
