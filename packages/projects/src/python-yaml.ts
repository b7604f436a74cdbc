import { invalid } from '@millrace/api/errors'
import { isAlias, isMap, isScalar, isSeq, type Node, parseDocument, Scalar } from 'yaml'

/** A mapping of a YAML file; each value is still a node, whose text Python would write its own way. */
export type YamlMap = Map<string, YamlValue>
export type YamlValue = YamlMap | YamlValue[] | YamlScalar

/** One value as PyYAML's safe loader resolves it. */
export interface YamlScalar {
  kind: 'null' | 'text' | 'other'
  /** What Python's `str` makes of it. */
  text: string
}

const ALIASES_MAX = 100
const BYTES_MAX = 1024 * 1024

// The patterns of PyYAML's resolver; what matches none of them is text.
const NULL = /^(?:~|null|Null|NULL|)$/
const BOOLEAN = /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/
const TRUE = /^(?:yes|true|on)$/i
const INTEGER =
  /^[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(?::[0-5]?[0-9])+)$/
const FLOAT =
  /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/

/**
 * Reads a YAML file whose top is a mapping, as PyYAML 6 `safe_load` does for MLflow: `0.10` is the
 * number that Python writes `0.1`, `1e-3` is text, `yes` is `True`.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming the file
 */
export function parsePythonYaml(text: string, file: string): YamlMap {
  if (text.length > BYTES_MAX) throw invalid(`${file} is longer than ${BYTES_MAX} characters.`)
  const document = parseDocument(text, { schema: 'failsafe', merge: true, logLevel: 'error' })
  const [error] = document.errors
  if (error) throw invalid(`${file} is not YAML: ${error.message.split('\n')[0]}`)
  let aliases = 0
  const value = (node: unknown): YamlValue => {
    if (isAlias(node)) {
      aliases += 1
      if (aliases > ALIASES_MAX) throw invalid(`${file} has more than ${ALIASES_MAX} aliases.`)
      return value(node.resolve(document))
    }
    if (isMap(node)) {
      return new Map(node.items.map((item) => [keyText(item.key as Node), value(item.value)]))
    }
    if (isSeq(node)) return node.items.map(value)
    return isScalar(node) ? resolveScalar(node) : { kind: 'null', text: 'None' }
  }
  const top = document.contents === null ? new Map() : value(document.contents)
  if (!(top instanceof Map)) throw invalid(`${file} must hold keys and values at its top.`)
  return top
}

/** What Python's `str` makes of a value: the text itself, `True`, `0.1`, `['a', 1]`. */
export function pythonText(value: YamlValue): string {
  return 'kind' in value ? value.text : pythonRepr(value)
}

function pythonRepr(value: YamlValue): string {
  if (value instanceof Map) {
    const items = [...value].map(([key, item]) => `${quoted(key)}: ${pythonRepr(item)}`)
    return `{${items.join(', ')}}`
  }
  if (Array.isArray(value)) return `[${value.map(pythonRepr).join(', ')}]`
  return value.kind === 'text' ? quoted(value.text) : value.text
}

function quoted(text: string): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  if (text.includes("'") && !text.includes('"')) return `"${escaped}"`
  return `'${escaped.replaceAll("'", "\\'")}'`
}

function keyText(node: Node): string {
  return isScalar(node) ? resolveScalar(node).text : String(node)
}

function resolveScalar(node: Scalar): YamlScalar {
  const text = node.value === null ? '' : String(node.value)
  if (node.tag === 'tag:yaml.org,2002:str') return { kind: 'text', text }
  if (node.type !== undefined && node.type !== Scalar.PLAIN) return { kind: 'text', text }
  if (NULL.test(text)) return { kind: 'null', text: 'None' }
  if (BOOLEAN.test(text)) return { kind: 'other', text: TRUE.test(text) ? 'True' : 'False' }
  if (INTEGER.test(text)) return { kind: 'other', text: String(integerOf(text)) }
  if (FLOAT.test(text)) return { kind: 'other', text: pythonFloat(floatOf(text)) }
  return { kind: 'text', text }
}

function integerOf(text: string): bigint {
  const [, sign, digits = ''] = /^([-+]?)(.*)$/.exec(text.replaceAll('_', '')) ?? []
  const isOctal = /^0[0-7]+$/.test(digits)
  const size = digits.includes(':')
    ? digits.split(':').reduce((sum, part) => sum * 60n + BigInt(part), 0n)
    : BigInt(isOctal ? `0o${digits.slice(1)}` : digits)
  return sign === '-' ? -size : size
}

function floatOf(text: string): number {
  const plain = text.replaceAll('_', '').toLowerCase()
  const sign = plain.startsWith('-') ? -1 : 1
  const unsigned = plain.replace(/^[-+]/, '')
  if (unsigned === '.inf') return sign * Number.POSITIVE_INFINITY
  if (unsigned === '.nan') return Number.NaN
  const size = unsigned.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
  return sign * size
}

/** Python's `repr` of a float: shortest digits, an exponent below 1e-4 and from 1e16 on. */
function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf'
  const [, sign, digits = '', exponentText] =
    /^(-?)([\d.]+)e([+-]\d+)$/.exec(value.toExponential()) ?? []
  const exponent = Number(exponentText)
  const negative = sign || (Object.is(value, -0) ? '-' : '')
  if (exponent >= -4 && exponent < 16) {
    const size = Math.abs(value)
    return Number.isInteger(size) ? `${negative}${size}.0` : `${negative}${size}`
  }
  const padded = String(Math.abs(exponent)).padStart(2, '0')
  return `${negative}${digits}e${exponent < 0 ? '-' : '+'}${padded}`
}
