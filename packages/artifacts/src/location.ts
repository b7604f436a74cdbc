import { join, resolve } from 'node:path'
import { invalid } from '@millrace/api/errors'
import {
  type ArtifactPath,
  decodedForms,
  findArtifactPath,
  joinArtifactPaths,
  percentDecode,
} from './artifact-path.ts'

/**
 * A place for artifacts. Code that reaches storage uses the parts, never the text; `uri` is the
 * text to store and to show to clients. It is what the client sent, except that a relative local
 * path is written out absolute, and `parseLocation(location.uri)` gives the same location again.
 */
export type ArtifactLocation = FileLocation | ProxiedLocation | S3Location | OtherLocation

/** A directory of this machine; `path` is absolute and normalised. */
export interface FileLocation {
  scheme: 'file'
  path: string
  uri: string
}

/** Behind an artifact proxy: this server's, or with `host` (`name[:port]`) that of another. */
export interface ProxiedLocation {
  scheme: 'mlflow-artifacts'
  host?: string
  segments: ArtifactPath
  uri: string
}

export interface S3Location {
  scheme: 's3'
  bucket: string
  segments: ArtifactPath
  uri: string
}

/** A scheme for which there is no store: clients may reach it, we only keep it. */
export interface OtherLocation {
  scheme: 'other'
  /** The scheme, lower case: `gs`, `wasbs`, `https`, ... */
  name: string
  authority: string
  segments: ArtifactPath
  uri: string
}

// `container@account` names no user; anywhere else the part before the `@` would be one.
const CONTAINER_SCHEMES = ['wasb', 'wasbs', 'abfs', 'abfss', 'r2', 'dbfs']
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i

/**
 * Parses a URI or local path. Percent escapes are decoded once where MLflow's clients do (local
 * and proxied locations) and are literal elsewhere. Refused whatever the scheme: fragments, params,
 * `..` in any encoding, passwords, backslashes and control characters, hosts of file URIs.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE
 */
export function parseLocation(text: string): ArtifactLocation {
  if (text.trim() === '' || !text.isWellFormed() || /[\\\p{Cc}]/u.test(text)) throw refused(text)
  const scheme = /^[a-z][a-z0-9+.-]*(?=:)/i.exec(text)?.[0].toLowerCase()
  if (scheme === undefined) return parseLocalPath(text)
  if (scheme.length === 1) throw refused(text, 'drive letters are not supported')

  const uri = splitUri(text, scheme)
  if (scheme === 'file') return parseFileUri(uri)
  if (decodedForms(uri.query ?? '')?.every((form) => !form.includes('..')) !== true) {
    throw invalid('Invalid query string')
  }
  if (scheme === 'mlflow-artifacts') return parseProxied(uri)
  if (scheme === 's3') return parseS3(uri)
  return parseOther(uri)
}

/** A location below another, for example a run's artifacts below its experiment's. */
export function childLocation<Location extends ArtifactLocation>(
  location: Location,
  path: ArtifactPath,
): Location {
  if (path.length === 0) return location
  const uri = appendToUri(location, path)
  if (location.scheme === 'file') return { ...location, path: join(location.path, ...path), uri }
  return { ...location, segments: joinArtifactPaths(location.segments, path), uri }
}

interface UriParts {
  text: string
  scheme: string
  authority: string
  path: string
  query: string | undefined
}

function splitUri(text: string, scheme: string): UriParts {
  if (/[#;]/.test(text)) throw refused(text, 'fragments and params are not supported')
  const rest = text.slice(scheme.length + 1)
  const [, authority = '', path = '', query] =
    /^(?:\/\/([^/?]*))?([^?]*)(?:\?(.*))?$/s.exec(rest) ?? []
  return { text, scheme, authority, path, query }
}

function parseLocalPath(text: string): FileLocation {
  // A double slash starts a host name for some readers and not for others.
  if (text.startsWith('//')) throw refused(text)
  const path = localPath(text, text)
  return { scheme: 'file', path, uri: text.startsWith('/') ? text : path.replaceAll('%', '%25') }
}

function parseFileUri({ text, authority, path, query }: UriParts): FileLocation {
  if (authority !== '' && authority.toLowerCase() !== 'localhost') {
    throw refused(text, 'a file URI cannot name a host')
  }
  if (query !== undefined || path === '' || path.startsWith('//')) throw refused(text)
  const absolute = localPath(text, path)
  return {
    scheme: 'file',
    path: absolute,
    uri: path.startsWith('/') ? text : `file://${escapePath(absolute)}`,
  }
}

function localPath(text: string, path: string): string {
  const forms = decodedForms(path)
  if (!forms || forms.some((form) => /[\\\p{Cc}]/u.test(form))) throw refused(text)
  if (forms.some((form) => form.split('/').includes('..'))) {
    throw refused(text, "it must not contain '..'")
  }
  return resolve(percentDecode(path))
}

function parseProxied({ text, authority, path }: UriParts): ProxiedLocation {
  if (/^\d+$/.test(authority)) {
    throw invalid(
      `The mlflow-artifacts uri was supplied with a port number: ${authority}, but no host was defined.`,
    )
  }
  if (authority !== '' && !HOST.test(authority)) throw refused(text)
  const segments = findArtifactPath(percentDecode(path).replace(/^\/+/, ''))
  if (!segments) throw refused(text)
  return {
    scheme: 'mlflow-artifacts',
    ...(authority !== '' && { host: authority.toLowerCase() }),
    segments,
    uri: text,
  }
}

function parseS3(uri: UriParts): S3Location {
  if (!/^[\w.-]+$/.test(uri.authority)) throw refused(uri.text)
  return {
    scheme: 's3',
    bucket: uri.authority,
    segments: literalSegments(uri),
    uri: uri.text,
  }
}

function parseOther(uri: UriParts): OtherLocation {
  const { text, scheme, authority } = uri
  const at = CONTAINER_SCHEMES.includes(scheme) ? authority.lastIndexOf('@') : -1
  const isHost = authority === '' || HOST.test(authority.slice(at + 1))
  if (!isHost || (at >= 0 && !/^[\w$.-]+$/.test(authority.slice(0, at)))) throw refused(text)
  return { scheme: 'other', name: scheme, authority, segments: literalSegments(uri), uri: text }
}

/** Segments of an object key: unlike directories, `a//b` and `a/./b` are not `a/b` there. */
function literalSegments({ text, path }: UriParts): ArtifactPath {
  const key = path.replace(/^\//, '').replace(/\/$/, '')
  const segments = findArtifactPath(key)
  if (segments?.join('/') !== key) throw refused(text)
  return segments
}

function appendToUri(location: ArtifactLocation, path: ArtifactPath): string {
  const isDecoded = location.scheme === 'file' || location.scheme === 'mlflow-artifacts'
  const suffix = path.join('/')
  if (!isDecoded && /[?;]/.test(suffix)) {
    throw invalid(`'${suffix}' cannot be written as part of '${location.uri}'`)
  }
  const isPlainPath = location.scheme === 'file' && location.uri.startsWith('/')
  const queryAt = isPlainPath ? -1 : location.uri.indexOf('?')
  const base = queryAt < 0 ? location.uri : location.uri.slice(0, queryAt)
  const query = queryAt < 0 ? '' : location.uri.slice(queryAt)
  const separator = base.endsWith('/') ? '' : '/'
  return `${base}${separator}${isDecoded ? escapePath(suffix) : suffix}${query}`
}

function escapePath(path: string): string {
  return path.replace(/[%?;#]/g, encodeURIComponent)
}

function refused(text: string, reason?: string) {
  return invalid(`Invalid artifact location: '${text}'${reason ? `: ${reason}` : ''}`)
}
