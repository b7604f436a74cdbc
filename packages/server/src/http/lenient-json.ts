import { type JsonTraits, traitsOf } from './json-traits.ts'

/** A document with what readers of requests ask about it. */
export interface LenientJson {
  value: unknown
  traits: JsonTraits
}

/**
 * Reads JSON as Python's `json` module writes it: `NaN` and the infinities are bare words, and
 * integers may pass 2^53 (they become bigint). Text that is not JSON reads as undefined.
 */
export function parseLenientJson(text: string): LenientJson | undefined {
  if (text.length > LARGE_CHARACTERS && isTooDeep(text)) return undefined
  try {
    const value: unknown = JSON.parse(text)
    const traits = traitsOf(value, text)
    // JSON.parse rounds integers beyond 2^53.
    if (!traits.hasLongIntegers) return { value, traits }
  } catch {
    if (!/NaN|Infinity/.test(text)) return undefined
  }
  try {
    const value = new Reader(text).document()
    return { value, traits: traitsOf(value, text) }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** How deep values may nest; deeper is no request of any client but an attack on the stack. */
const DEPTH_MAX = 200
/** Text so long that `JSON.parse` would take seconds and a gigabyte if it were nothing but brackets. */
const LARGE_CHARACTERS = 1024 * 1024

function isTooDeep(text: string): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '{' || character === '[') depth++
    else if (character === '}' || character === ']') depth--
    else if (character === '"') at = endOfString(text, at)
    if (depth > DEPTH_MAX) return true
  }
  return false
}

/** Where the string that begins at a quote ends, or the end of the text if it never does. */
function endOfString(text: string, start: number): number {
  let end = start
  do {
    end = text.indexOf('"', end + 1)
    if (end < 0) return text.length
  } while (isEscaped(text, end))
  return end
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1
  while (text[before] === '\\') before--
  return (at - before) % 2 === 0
}

/** More than any 64-bit integer has; making a bigint of a million digits takes a second. */
const INTEGER_DIGITS_MAX = 32
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const SPACE = /[ \t\n\r]*/y
const WORDS: [string, unknown][] = [
  ['true', true],
  ['false', false],
  ['null', null],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  document(): unknown {
    const value = this.#value(0)
    this.#space()
    if (this.#at !== this.#text.length) throw new SyntaxError(`Unexpected text at ${this.#at}`)
    return value
  }

  #value(depth: number): unknown {
    if (depth > DEPTH_MAX) throw new SyntaxError(`Nested deeper than ${DEPTH_MAX}`)
    this.#space()
    const character = this.#text[this.#at]
    if (character === '{') return this.#object(depth)
    if (character === '[') return this.#array(depth)
    if (character === '"') return this.#string()
    for (const [word, value] of WORDS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length
        return value
      }
    }
    return this.#number()
  }

  #object(depth: number): unknown {
    const object: Record<string, unknown> = {}
    this.#at++
    if (this.#takes('}')) return object
    do {
      this.#space()
      const key = this.#string()
      this.#expect(':')
      const value = this.#value(depth + 1)
      // Assigning to `__proto__` would change the object's prototype.
      if (key !== '__proto__') object[key] = value
    } while (this.#takes(','))
    this.#expect('}')
    return object
  }

  #array(depth: number): unknown {
    const array: unknown[] = []
    this.#at++
    if (this.#takes(']')) return array
    do array.push(this.#value(depth + 1))
    while (this.#takes(','))
    this.#expect(']')
    return array
  }

  /** By looking for its end: a pattern would run out of stack on a string of some megabytes. */
  #string(): string {
    if (this.#text[this.#at] !== '"') throw new SyntaxError(`Expected a string at ${this.#at}`)
    const end = endOfString(this.#text, this.#at)
    const quoted = this.#text.slice(this.#at, end + 1)
    this.#at = end + 1
    return JSON.parse(quoted) as string // What begins with a quote is a string or no JSON.
  }

  #number(): number | bigint {
    const [digits, fraction, exponent] = this.#match(NUMBER)
    const number = Number(digits)
    if (fraction !== undefined || exponent !== undefined) return number
    const isExact = Number.isSafeInteger(number) || digits.length > INTEGER_DIGITS_MAX
    return isExact ? number : BigInt(digits)
  }

  #match(pattern: RegExp): RegExpExecArray {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match === null) throw new SyntaxError(`Unexpected text at ${this.#at}`)
    this.#at = pattern.lastIndex
    return match
  }

  #space(): void {
    this.#match(SPACE)
  }

  #takes(character: string): boolean {
    this.#space()
    if (this.#text[this.#at] !== character) return false
    this.#at++
    return true
  }

  #expect(character: string): void {
    if (!this.#takes(character)) throw new SyntaxError(`Expected ${character} at ${this.#at}`)
  }
}
