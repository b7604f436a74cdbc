import { invalid } from '@millrace/api/errors'
import type { TemplatePart } from './command-template.ts'
import {
  BUILTINS,
  EVALUATING,
  EVALUATING_FLAG,
  isShellText,
  NUMERIC_TEST,
  PREFIXES,
} from './shell-grammar.ts'

/** A word of a command: text, and names of parameters whose values are put there as they are. */
export type Word = TemplatePart[]

/** What a command's template comes to before any parameter has a value. */
export interface ScannedCommand {
  /** The words, as bash would split the author's text. */
  words: Word[]
  /** What only a shell understands; undefined when the words can be started as they are. */
  shellFeature: string | undefined
  /** The text for bash, in which every parameter is a quoted reference to a variable. */
  bashText: string
}

type Token = { character: string } | { parameter: string }
type Context = 'plain' | 'double' | 'single' | 'comment' | Opaque
/** Where bash reads text by rules under which a value could become code. */
type Opaque = 'arithmetic' | 'backquotes' | 'braces' | 'ansi'

/** The command that is being read. */
interface Current {
  word: Word | undefined
  isNameNext: boolean
  name: string | undefined
  /** Where its words begin. */
  from: number
}

interface Scan {
  tokens: Token[]
  at: number
  /** Innermost last. */
  contexts: Context[]
  words: Word[]
  current: Current
  /** Commands that go on after the one in parentheses. */
  outer: Current[]
  shellFeature: string | undefined
  bashText: string
  hasParameters: boolean
  /** The text with no parameter in it. */
  text: string
  refuse: (why: string) => never
  reference: (parameter: string) => string
}

const CLOSING: Partial<Record<Context, string>> = { backquotes: '`', ansi: "'" }

/**
 * Splits a command's template as bash would, with parameters as they stand, so that no value can
 * ever be read as part of the command. What bash would evaluate again is refused.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when a parameter stands where its value would become code
 */
export function scanCommand(
  parts: TemplatePart[],
  entryPoint: string,
  reference: (parameter: string) => string,
): ScannedCommand {
  const scan: Scan = {
    tokens: parts.flatMap((part): Token[] =>
      'text' in part ? Array.from(part.text, (character) => ({ character })) : [part],
    ),
    at: 0,
    contexts: ['plain'],
    words: [],
    current: { word: undefined, isNameNext: true, name: undefined, from: 0 },
    outer: [],
    shellFeature: undefined,
    bashText: '',
    hasParameters: parts.some((part) => 'parameter' in part),
    text: parts.map((part) => ('text' in part ? part.text : ' ')).join(''),
    refuse: (why) => {
      throw invalid(`The command of entry point '${entryPoint}' ${why}.`)
    },
    reference,
  }
  for (; scan.at < scan.tokens.length; scan.at += 1) step(scan)
  const open = scan.contexts.findLast((context) => context === 'double' || context === 'single')
  if (open) scan.refuse('has a quote that is not closed')
  endWord(scan)
  const { words, shellFeature, bashText } = scan
  return { words, shellFeature, bashText }
}

function step(scan: Scan): void {
  const token = scan.tokens[scan.at]
  if (!token) return
  const context = scan.contexts.at(-1) ?? 'plain'
  if ('parameter' in token) {
    addParameter(scan, token.parameter, context)
    return
  }
  const { character } = token
  if (character === '\0') scan.refuse('holds a NUL character')
  if (context === 'plain') stepPlain(scan, character)
  else if (context === 'double') stepDouble(scan, character)
  else if (context === 'single') {
    emit(scan, character)
    if (character === "'") scan.contexts.pop()
    else addText(scan, character)
  } else if (context === 'comment') {
    emit(scan, character)
    if (character === '\n') scan.contexts.pop()
  } else stepOpaque(scan, character, context)
}

function addParameter(scan: Scan, parameter: string, context: Context): void {
  const before = scan.tokens[scan.at - 1]
  if (before && 'character' in before && /[$\\]/.test(before.character)) {
    scan.refuse(`has '${before.character}' right before {${parameter}}; write {${parameter}} alone`)
  }
  if (context === 'comment') return
  if (context !== 'plain' && context !== 'double' && context !== 'single') {
    scan.refuse(
      `has {${parameter}} inside ${context}, where a shell would run its value; give it to a ` +
        'program as an argument',
    )
  }
  if (evaluates(scan)) {
    scan.refuse(
      `has {${parameter}} in the words of '${scan.current.name}', which would run its value as ` +
        'code; give it to a program as an argument',
    )
  }
  const variable = scan.reference(parameter)
  if (context === 'plain') scan.bashText += `"${variable}"`
  else scan.bashText += context === 'double' ? variable : `'"${variable}"'`
  wordOf(scan).push({ parameter })
}

/** Whether the command that is being read takes its next word for code. */
function evaluates({ words, current, text }: Scan): boolean {
  const { name = '', from } = current
  const said = words.slice(from).map(plainText)
  if (isShellText(said)) return true
  if (!EVALUATING.has(name)) return false
  if (name === '[[') return NUMERIC_TEST.test(text)
  if (name === 'export' && isAssigned(current)) return said.some((word) => word.startsWith('-'))
  const flag = EVALUATING_FLAG[name]
  const before = words.at(-1) ?? []
  // A value may be such a flag itself.
  const mayBeFlag = before.some((part) => 'parameter' in part)
  return flag === undefined || mayBeFlag || flag.test(plainText(before))
}

/** Whether what is being read is the value of a variable: `NAME=`. */
function isAssigned({ word: [first] = [] }: Current): boolean {
  return first !== undefined && 'text' in first && /^\w+=/.test(first.text)
}

function stepPlain(scan: Scan, character: string): void {
  const next = characterAt(scan, 1)
  switch (character) {
    case ' ':
    case '\t':
      endWord(scan)
      break
    case '\n':
      shell(scan, 'several lines')
      endCommand(scan)
      break
    case '\\':
      escape(scan, next)
      return
    case "'":
    case '"':
      wordOf(scan)
      scan.contexts.push(character === '"' ? 'double' : 'single')
      break
    case '$':
    case '`':
      openExpansion(scan, character, 'plain')
      return
    case '(':
    case ')':
      stepParenthesis(scan, character, next)
      return
    case '|':
    case '&':
    case ';':
      shell(scan, `'${character}'`)
      endCommand(scan)
      break
    case '<':
    case '>':
      shell(scan, `'${character}'`)
      redirect(scan, character, next)
      return
    case '#':
      if (scan.current.word !== undefined) addText(scan, character)
      else {
        shell(scan, 'a comment')
        scan.contexts.push('comment')
      }
      break
    default:
      if (/[*?[\]{}]/.test(character)) shell(scan, `'${character}'`)
      if (character === '~' && scan.current.word === undefined) shell(scan, "'~'")
      addText(scan, character)
  }
  emit(scan, character)
}

function stepDouble(scan: Scan, character: string): void {
  const next = characterAt(scan, 1)
  if (character === '\\' && next !== undefined && /[$`"\\\n]/.test(next)) {
    escape(scan, next)
    return
  }
  if (character === '$' || character === '`') {
    openExpansion(scan, character, 'double')
    return
  }
  if (character === '"') scan.contexts.pop()
  else addText(scan, character)
  emit(scan, character)
}

function stepOpaque(scan: Scan, character: string, context: Opaque): void {
  emit(scan, character)
  if (character === '\\') {
    emit(scan, characterAt(scan, 1) ?? '')
    scan.at += 1
    return
  }
  if (context === 'arithmetic' && character === '(') scan.contexts.push('arithmetic')
  if (context === 'braces' && character === '{') scan.contexts.push('braces')
  const closing = CLOSING[context] ?? (context === 'braces' ? '}' : ')')
  if (character === closing) scan.contexts.pop()
}

function escape(scan: Scan, next: string | undefined): void {
  if (next === undefined) {
    // Either the end, which is a literal backslash, or a parameter, which is refused there.
    addText(scan, '\\')
    emit(scan, '\\\\')
    return
  }
  emit(scan, `\\${next}`)
  if (next !== '\n') addText(scan, next)
  scan.at += 1
}

function openExpansion(scan: Scan, character: string, from: 'plain' | 'double'): void {
  shell(scan, `'${character}'`)
  wordOf(scan)
  const next = characterAt(scan, 1)
  emit(scan, character)
  if (character === '`') {
    scan.contexts.push('backquotes')
    return
  }
  if (next === '(') {
    const isArithmetic = characterAt(scan, 2) === '('
    if (isArithmetic) scan.contexts.push('arithmetic', 'arithmetic')
    else beginInner(scan)
    emit(scan, isArithmetic ? '((' : '(')
    scan.at += isArithmetic ? 2 : 1
  } else if (next === '{') {
    scan.contexts.push('braces')
    emit(scan, '{')
    scan.at += 1
  } else if (next === "'" && from === 'plain') {
    scan.contexts.push('ansi')
    emit(scan, "'")
    scan.at += 1
  }
}

function stepParenthesis(scan: Scan, character: string, next: string | undefined): void {
  shell(scan, `'${character}'`)
  emit(scan, character)
  if (character === ')') {
    endCommand(scan)
    const outer = scan.outer.pop()
    if (!outer) return
    scan.contexts.pop()
    scan.current = outer
    return
  }
  const isArithmetic = next === '(' && scan.current.word === undefined
  if (!isArithmetic) {
    beginInner(scan)
    return
  }
  scan.contexts.push('arithmetic', 'arithmetic')
  emit(scan, '(')
  scan.at += 1
}

/** A command in parentheses, after which the one around it goes on. */
function beginInner(scan: Scan): void {
  scan.contexts.push('plain')
  scan.outer.push(scan.current)
  scan.current = newCommand(scan)
}

function redirect(scan: Scan, character: string, next: string | undefined): void {
  endWord(scan)
  emit(scan, character)
  const isDocument = character === '<' && next === '<' && characterAt(scan, 2) !== '<'
  if (isDocument && scan.hasParameters) {
    scan.refuse('has a here-document, which cannot be combined with parameters')
  }
  for (; characterAt(scan, 1) === character; scan.at += 1) emit(scan, character)
}

function shell(scan: Scan, feature: string): void {
  scan.shellFeature ??= feature
}

function emit(scan: Scan, text: string): void {
  scan.bashText += text
}

function addText(scan: Scan, text: string): void {
  const word = wordOf(scan)
  const last = word.at(-1)
  if (last && 'text' in last) last.text += text
  else word.push({ text })
}

function wordOf({ current }: Scan): Word {
  current.word ??= []
  return current.word
}

function endWord(scan: Scan): void {
  const { current } = scan
  const { word } = current
  if (word === undefined) return
  current.word = undefined
  scan.words.push(word)
  if (!current.isNameNext) return
  const name = plainText(word)
  const isAssignment = /^\w+\+?=/.test(name)
  if (isAssignment) shell(scan, 'an assignment')
  if (BUILTINS.has(name)) shell(scan, `'${name}'`)
  current.isNameNext = isAssignment || name.startsWith('-') || PREFIXES.has(name)
  current.name = name
}

function endCommand(scan: Scan): void {
  endWord(scan)
  scan.current = newCommand(scan)
}

function newCommand({ words }: Scan): Current {
  return { word: undefined, isNameNext: true, name: undefined, from: words.length }
}

function plainText(word: Word): string {
  return word.map((part) => ('text' in part ? part.text : `{${part.parameter}}`)).join('')
}

function characterAt(scan: Scan, ahead: number): string | undefined {
  const token = scan.tokens[scan.at + ahead]
  return token && 'character' in token ? token.character : undefined
}
