import { isUtf8 } from 'node:buffer'
import { invalid } from '@millrace/api/errors'

declare const checked: unique symbol

/**
 * A relative path below some root, as its segments; the root itself is the empty list. Only this
 * file makes one, so a segment is never empty, `.`, `..` or absolute, and holds no separator,
 * control character or `#`. Being safe is a property of each segment: joined paths stay safe.
 */
export type ArtifactPath = readonly string[] & { readonly [checked]: true }

/** The limit of Linux file systems; a name beyond it exists on no client's disk. */
const SEGMENT_BYTES_MAX = 255
const PATH_BYTES_MAX = 4096
const DECODE_ROUNDS_MAX = 10

/**
 * A client's path, decoded once by the HTTP layer, as a path that is safe to use exactly as given:
 * every form that further percent-decoding would give is checked too, so `a%20b` and `100%.txt`
 * are names like any other while `%2e%2e` is refused. Empty and `.` segments are dropped, as
 * MLflow's file store does. The rules are those of MLflow 3.17 `validate_path_is_safe`, and
 * backslashes, control characters, drive letters and invalid UTF-8 are refused besides.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE `Invalid path`
 */
export function parseArtifactPath(text: string): ArtifactPath {
  const path = findArtifactPath(text)
  if (!path) throw invalid('Invalid path')
  return path
}

/** Like `parseArtifactPath`, with undefined for a path that is refused. */
export function findArtifactPath(text: string): ArtifactPath | undefined {
  if (text.startsWith('/') || Buffer.byteLength(text) > PATH_BYTES_MAX) return undefined
  const segments = text.split('/').filter((segment) => segment !== '' && segment !== '.')
  return segments.every(isSafeSegment) ? branded(segments) : undefined
}

/** The path as clients write it: segments joined by `/`, the empty string for the root. */
export function formatArtifactPath(path: ArtifactPath): string {
  return path.join('/')
}

/** The second path below the first, and so on. */
export function joinArtifactPaths(...paths: ArtifactPath[]): ArtifactPath {
  return branded(paths.flat())
}

/** Whether a path of the single segment `name` can exist; a store hides what has no path. */
export function isArtifactName(name: string): boolean {
  const path = findArtifactPath(name)
  return path?.length === 1 && path[0] === name
}

/**
 * The text and every different form that repeated percent-decoding gives, or undefined when it is
 * not stable after ten rounds.
 */
export function decodedForms(text: string): string[] | undefined {
  const forms = [text]
  let form = text
  for (let round = 0; round < DECODE_ROUNDS_MAX; round++) {
    const decoded = percentDecode(form)
    if (decoded === form) return forms
    forms.push(decoded)
    form = decoded
  }
  return undefined
}

/**
 * One round of percent-decoding. A `%` that starts no escape stays; escapes that are not UTF-8
 * (overlong forms of `.` and `/` among them) become NUL, which every reader of paths refuses.
 */
export function percentDecode(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    const bytes = Buffer.from(escapes.replaceAll('%', ''), 'hex')
    return isUtf8(bytes) ? bytes.toString() : '\0'
  })
}

// Control characters, separators of other systems, absolute paths, dot segments, drives, schemes.
const UNSAFE = /[\\#\p{Cc}]|^\/|(?:^|\/)(?:\.\.?(?:\/|$)|[a-z]:|file:)/iu

function isSafeSegment(segment: string): boolean {
  // A lone surrogate would be stored as U+FFFD, giving two names to one file.
  if (!segment.isWellFormed() || Buffer.byteLength(segment) > SEGMENT_BYTES_MAX) return false
  const forms = decodedForms(segment)
  return forms !== undefined && !forms.some((form) => UNSAFE.test(form))
}

function branded(segments: string[]): ArtifactPath {
  // The brand exists only for the compiler; the callers have checked the segments.
  return Object.freeze(segments) as readonly string[] as ArtifactPath
}
