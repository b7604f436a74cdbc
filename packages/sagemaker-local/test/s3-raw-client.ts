import { type OutgoingHttpHeaders, request } from 'node:http'

export interface RawAnswer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: string
  /** Whether the server said `100 Continue` first. */
  wasContinued: boolean
}

/** Sends a path as it is, which `fetch` would normalise, and a body as it is. */
export function sendRaw(
  url: string,
  {
    method = 'GET',
    path,
    headers = {},
    body,
  }: { method?: string; path: string; headers?: OutgoingHttpHeaders; body?: string | Buffer },
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    let wasContinued = false
    const sent = request({ hostname, port, method, path, headers, agent: false }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('error', reject)
      response.on('end', () => {
        sent.destroy()
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(pieces).toString(),
          wasContinued,
        })
      })
    })
    sent.on('error', reject)
    if ('expect' in headers) {
      sent.on('continue', () => {
        wasContinued = true
        sent.end(body)
      })
      sent.flushHeaders()
    } else if (body === undefined && Number(headers['content-length'] ?? 0) > 0) {
      // A body that is announced and never comes.
      sent.flushHeaders()
    } else sent.end(body)
  })
}

/** The code of an XML refusal with its status: `404 NoSuchKey`. */
export function codeOf({ status, body }: RawAnswer): string {
  return `${status} ${/<Code>([^<]*)/.exec(body)?.[1] ?? ''}`.trim()
}
