/** A request as it came in: nothing decoded, header names in lower case. */
export interface SignedRequest {
  method: string
  /** Path and query as they stand in the request line. */
  url: string
  headers: Readonly<Record<string, string | string[] | undefined>>
}

/** The query of a raw URL, in its order. `+` is a space, as servers read it; bad escapes stay. */
export function rawQuery(url: string): [name: string, value: string][] {
  const start = url.indexOf('?')
  if (start === -1) return []
  return url
    .slice(start + 1)
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=')
      const name = equals === -1 ? pair : pair.slice(0, equals)
      return [unescape(name), equals === -1 ? '' : unescape(pair.slice(equals + 1))]
    })
}

/** One value of the query, by its exact name. */
export function queryValue(url: string, name: string): string | undefined {
  return rawQuery(url).find(([other]) => other === name)?.[1]
}

/** One header; several of a name are joined by a comma. */
export function headerValue(request: SignedRequest, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value.join(',') : value
}

/**
 * The canonical request of SigV4. S3 signs its path escaped once and as it is; every other service
 * signs the normalised path escaped a second time.
 */
export function canonicalRequest(
  request: SignedRequest,
  { signedHeaders, payload, isS3 }: { signedHeaders: string[]; payload: string; isS3: boolean },
): string {
  const path = request.url.split('?', 1)[0] ?? ''
  const headers = signedHeaders.map(
    (name) => `${name}:${(headerValue(request, name) ?? '').trim().replace(/ +/g, ' ')}\n`,
  )
  return [
    request.method,
    isS3 ? escapePath(unescapePath(path)) : escapePath(normalise(path)),
    canonicalQuery(request.url),
    headers.join(''),
    signedHeaders.join(';'),
    payload,
  ].join('\n')
}

function canonicalQuery(url: string): string {
  return rawQuery(url)
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [escapeText(name), escapeText(value)] as const)
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

function compare(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}

/** Dots and empty segments taken out, a final slash kept. */
function normalise(path: string): string {
  const segments: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '' && segment !== '.') segments.push(segment)
  }
  const end = path.endsWith('/') && segments.length > 0 ? '/' : ''
  return `/${segments.join('/')}${end}`
}

function escapePath(path: string): string {
  return path.split('/').map(escapeText).join('/') || '/'
}

/** AWS escapes everything but unreserved letters, in upper case. */
function escapeText(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function unescape(text: string): string {
  return unescapePath(text.replaceAll('+', ' '))
}

function unescapePath(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // Not UTF-8: nothing that a client of AWS signs. It will not match, or be refused as a key.
    return text
  }
}
