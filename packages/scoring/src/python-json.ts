/** A value as Python's `json` reads it: whole numbers are `bigint`, all others `number`. */
export type Json = null | boolean | number | bigint | string | Json[] | Map<string, Json>

// Python's interpreter gives up at about this depth.
const DEPTH_MAX = 900
// Python 3.11 `sys.set_int_max_str_digits`; a longer one takes quadratic time to read.
const DIGITS_MAX = 4_300

const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?/y
const SPACE = /[ \t\n\r]*/y
const WORDS: [string, Json][] = [
  ['true', true],
  ['false', false],
  ['null', null],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]

/**
 * Reads JSON as Python's `json.loads` does, which keeps whole numbers apart from others and takes
 * NaN and infinities.
 *
 * @throws SyntaxError with the place
 */
export function parsePythonJson(text: string): Json {
  const reader = new JsonReader(text)
  const value = reader.value(0)
  reader.end()
  return value
}

class JsonReader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): Json {
    this.#skipSpace()
    if (depth > DEPTH_MAX) throw this.#problem('Nested too deep')
    switch (this.#text[this.#at]) {
      case '[':
        return this.#list(depth)
      case '{':
        return this.#dictionary(depth)
      case '"':
        return this.#string()
      default:
        return this.#number() ?? this.#word()
    }
  }

  end(): void {
    this.#skipSpace()
    if (this.#at < this.#text.length) throw this.#problem('Extra data')
  }

  #list(depth: number): Json[] {
    const items: Json[] = []
    this.#at += 1
    if (this.#takes(']')) return items
    do items.push(this.value(depth + 1))
    while (this.#takes(','))
    this.#expect(']')
    return items
  }

  #dictionary(depth: number): Map<string, Json> {
    const entries = new Map<string, Json>()
    this.#at += 1
    if (this.#takes('}')) return entries
    do {
      this.#skipSpace()
      if (this.#text[this.#at] !== '"') throw this.#problem('Expecting property name')
      const key = this.#string()
      this.#expect(':')
      entries.set(key, this.value(depth + 1))
    } while (this.#takes(','))
    this.#expect('}')
    return entries
  }

  #string(): string {
    const start = this.#at
    let end = this.#text.indexOf('"', start + 1)
    while (end >= 0 && this.#isEscaped(end)) end = this.#text.indexOf('"', end + 1)
    if (end < 0) throw this.#problem('Unterminated string')
    try {
      const value: unknown = JSON.parse(this.#text.slice(start, end + 1))
      this.#at = end + 1
      return String(value)
    } catch {
      throw this.#problem('Invalid string')
    }
  }

  #isEscaped(place: number): boolean {
    let slashes = 0
    while (this.#text[place - 1 - slashes] === '\\') slashes += 1
    return slashes % 2 === 1
  }

  #number(): number | bigint | undefined {
    NUMBER.lastIndex = this.#at
    const found = NUMBER.exec(this.#text)
    if (!found) return undefined
    const [digits, fraction, exponent] = found
    if (fraction === undefined && exponent === undefined && digits.length > DIGITS_MAX) {
      throw this.#problem(`A whole number of ${digits.length} digits`)
    }
    this.#at += digits.length
    return fraction === undefined && exponent === undefined ? BigInt(digits) : Number(digits)
  }

  #word(): Json {
    for (const [word, value] of WORDS) {
      if (!this.#text.startsWith(word, this.#at)) continue
      this.#at += word.length
      return value
    }
    throw this.#problem('Expecting value')
  }

  #skipSpace(): void {
    SPACE.lastIndex = this.#at
    SPACE.exec(this.#text)
    this.#at = SPACE.lastIndex
  }

  #takes(mark: string): boolean {
    this.#skipSpace()
    if (this.#text[this.#at] !== mark) return false
    this.#at += 1
    return true
  }

  #expect(mark: string): void {
    if (!this.#takes(mark)) throw this.#problem(`Expecting '${mark}'`)
  }

  #problem(what: string): SyntaxError {
    return new SyntaxError(`${what} at character ${this.#at}`)
  }
}

/** Writes a value as Python's `json.dumps` does, floats by their `repr`, all in ASCII. */
export function writePythonJson(value: Json): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'bigint') {
    return String(value)
  }
  if (typeof value === 'number') return floatText(value)
  if (typeof value === 'string') return stringText(value)
  if (Array.isArray(value)) return `[${value.map(writePythonJson).join(', ')}]`
  const entries = [...value].map(([key, of]) => `${stringText(key)}: ${writePythonJson(of)}`)
  return `{${entries.join(', ')}}`
}

function stringText(value: string): string {
  return JSON.stringify(value).replaceAll(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

// Both languages write the fewest digits that read back the same; they differ in where they go over
// to exponents.
function floatText(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  if (Object.is(value, -0)) return '-0.0'
  const [digits = '', power = ''] = value.toExponential().split('e')
  const exponent = Number(power)
  if (value !== 0 && (exponent < -4 || exponent >= 16)) {
    return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
  }
  return Number.isInteger(value) ? `${value}.0` : String(value)
}
