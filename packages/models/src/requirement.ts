import { invalid } from '@millrace/api/errors'

/** One line of a requirements file: a package of an index, and nothing that pip could be made to do. */
export interface Requirement {
  /** Lower case, with `-` between words. */
  name: string
  /** The line to give to an installer, written anew from its parts. */
  line: string
}

const NAME = /^[A-Z0-9](?:[A-Z0-9._-]*[A-Z0-9])?/i
const EXTRAS = /^\[\s*([A-Z0-9._-]+(?:\s*,\s*[A-Z0-9._-]+)*)\s*\]/i
const SPECIFIER = /^(===|~=|==|!=|<=|>=|<|>)\s*([A-Z0-9][A-Z0-9._+!-]*(?:\.\*)?)$/i
const MARKER_TOKEN =
  /\s*(\(|\)|===|~=|==|!=|<=|>=|<|>|'[\w .,+*/-]*'|"[\w .,+*/-]*"|not\s+in\b|[a-z_.]+)/y
// PEP 508, and `extra`.
const MARKER_VARIABLES = new Set([
  'os_name',
  'sys_platform',
  'platform_machine',
  'platform_python_implementation',
  'platform_release',
  'platform_system',
  'platform_version',
  'python_version',
  'python_full_version',
  'implementation_name',
  'implementation_version',
  'extra',
])
const MARKER_OPERATORS = new Set(['===', '~=', '==', '!=', '<=', '>=', '<', '>', 'in'])
const MARKER_NESTING_MAX = 20

/**
 * Parses a requirement by PEP 508 without URLs: name, extras, versions, marker. Whatever else pip
 * reads in such a place (options, URLs, paths) would let a model choose where code is fetched from
 * and run while it is only being installed, so it is refused.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming the line
 */
export function parseRequirement(line: string): Requirement {
  const [text = '', ...markerParts] = line.split(';')
  const marker = markerParts.length > 0 ? parseMarker(markerParts.join(';')) : ''
  let rest = text.trim()
  const [name] = NAME.exec(rest) ?? []
  if (name === undefined || marker === undefined) throw refused(line)
  rest = rest.slice(name.length).trimStart()
  const [extrasText = '', extras = ''] = EXTRAS.exec(rest) ?? []
  rest = rest.slice(extrasText.length).trim()
  const isBracketed = rest.startsWith('(') && rest.endsWith(')')
  const versions = parseVersions(isBracketed ? rest.slice(1, -1).trim() : rest)
  if (versions === undefined) throw refused(line)
  const extrasPart = extras && `[${extras.replaceAll(/\s/g, '')}]`
  return {
    name: name.toLowerCase().replaceAll(/[._-]+/g, '-'),
    line: `${name}${extrasPart}${versions}${marker && `; ${marker}`}`,
  }
}

/**
 * The lines of a requirements file or of a list of dependencies, without comments and blank ones;
 * a backslash at its end joins a line to the next.
 */
export function requirementLines(text: string): string[] {
  return text
    .replaceAll(/\\\r?\n/g, ' ')
    .split(/\r?\n/)
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '')
}

/** `>=1,<2` with its blanks taken out; undefined when a part of it is no version. */
function parseVersions(text: string): string | undefined {
  if (text === '') return ''
  const specifiers = text.split(',').map((part) => SPECIFIER.exec(part.trim()))
  if (!specifiers.every((specifier) => specifier !== null)) return undefined
  return specifiers.map(([, operator, version]) => `${operator}${version}`).join(',')
}

/** A marker with one blank between its tokens, or undefined when it is none. */
function parseMarker(text: string): string | undefined {
  const tokens: string[] = []
  MARKER_TOKEN.lastIndex = 0
  const trimmed = text.trimEnd()
  while (MARKER_TOKEN.lastIndex < trimmed.length) {
    const match = MARKER_TOKEN.exec(trimmed)
    if (!match?.[1]) return undefined
    tokens.push(match[1].replace(/\s+/, ' '))
  }
  const end = readMarker(tokens, 0, 0)
  return end === tokens.length ? tokens.join(' ') : undefined
}

/** Reads `term (and|or term)*` and gives where it ends; undefined when it is not one. */
function readMarker(tokens: string[], start: number, depth: number): number | undefined {
  let at = readTerm(tokens, start, depth)
  while (at !== undefined && (tokens[at] === 'and' || tokens[at] === 'or')) {
    at = readTerm(tokens, at + 1, depth)
  }
  return at
}

function readTerm(tokens: string[], start: number, depth: number): number | undefined {
  if (tokens[start] === '(') {
    if (depth >= MARKER_NESTING_MAX) return undefined
    const end = readMarker(tokens, start + 1, depth + 1)
    return end !== undefined && tokens[end] === ')' ? end + 1 : undefined
  }
  const [left, operator, right] = tokens.slice(start, start + 3)
  const isComparison = isMarkerValue(left) && isMarkerValue(right) && isOperator(operator)
  return isComparison ? start + 3 : undefined
}

function isMarkerValue(token: string | undefined): boolean {
  return token !== undefined && (/^['"]/.test(token) || MARKER_VARIABLES.has(token))
}

function isOperator(token: string | undefined): boolean {
  return token !== undefined && (MARKER_OPERATORS.has(token) || token === 'not in')
}

function refused(line: string) {
  return invalid(
    `The requirement '${line}' is not accepted: a model may ask for packages by name and version, ` +
      'not for options, URLs or paths.',
  )
}
