import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { invalid } from '@millrace/api/errors'
import { parseTemplate, type TemplatePart } from './command-template.ts'
import type { EntryPoint, Project } from './mlproject-file.ts'
import { scanCommand, type Word } from './shell-text.ts'

/** What to start: a program with its arguments, and variables that its text refers to. */
export interface EntryCommand {
  argv: [program: string, ...args: string[]]
  variables: Record<string, string>
  /** For people: the command with its values, quoted. */
  shown: string
}

/** Values by name, in the order of the entry point and then of whoever gave them. */
export interface EntryParameters {
  declared: Map<string, string>
  /** What the entry point does not declare: it gets them as `--name value`. */
  extra: Map<string, string>
}

// No name of a parameter gets into a variable's name, so that none can replace PATH and the like.
const VARIABLE = 'MILLRACE_PROJECT_VALUE'

/**
 * The entry point of a name: one of the MLproject file, or a `.py`, `.sh` or `.R` file of the project
 * (MLflow 3.17 `Project.get_entry_point`).
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when there is neither
 */
export function entryPointOf(project: Project, name: string, shell: string): EntryPoint {
  const declared = project.entryPoints.get(name)
  if (declared) return declared
  const extension = /\.(py|sh|R)$/.exec(name)?.[1]
  if (extension === undefined) {
    const names = [...project.entryPoints.keys()].map((name) => `'${name}'`).join(', ')
    throw invalid(
      `Could not find ${name} among entry points [${names}] or interpret ${name} as a runnable ` +
        'script. Supported script file extensions: .py, .sh, .R; name one of these with -e.',
    )
  }
  if (!existsSync(join(project.directory, name))) {
    throw invalid(`Could not find ${name} among the entry points or files of the project.`)
  }
  const file = literal(shellQuote(name))
  const commands = {
    py: `python ${file}`,
    sh: `${literal(shellQuote(shell))} ${file}`,
    R: `Rscript -e ${literal(shellQuote(`mlflow::mlflow_source(${JSON.stringify(name)})`))} --args`,
  }
  return { name, parameters: new Map(), command: commands[extension as 'py' | 'sh' | 'R'] }
}

/**
 * Sorts what was given into what the entry point declares, with its defaults, and the rest.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming all that are missing
 */
export function chooseParameters(
  { name, parameters }: EntryPoint,
  given: ReadonlyMap<string, string>,
): EntryParameters {
  const missing = [...parameters]
    .filter(([key, { default: byDefault }]) => !given.has(key) && byDefault === undefined)
    .map(([key]) => key)
  if (missing.length > 0) {
    const names = missing.map((key) => `'${key}'`).join(', ')
    throw invalid(
      `No value given for missing parameters: ${names} of entry point '${name}'; give ` +
        `${missing.map((key) => `-P ${key}=VALUE`).join(' ')}.`,
    )
  }
  const declared = new Map<string, string>()
  for (const [key, { default: byDefault = '' }] of parameters) {
    declared.set(key, given.get(key) ?? byDefault)
  }
  const extra = new Map([...given].filter(([key]) => !parameters.has(key)))
  for (const [key, value] of [...declared, ...extra]) {
    if (/\0/.test(key + value)) throw invalid(`Parameter '${key}' holds a NUL character.`)
  }
  return { declared, extra }
}

/**
 * Puts values into a command. Most commands are started as they are, without a shell. One that needs
 * a shell is given to bash as its author wrote it, with references to variables that hold the
 * values, so that bash never reads a value as part of its text.
 */
export function entryCommand(entryPoint: EntryPoint, values: EntryParameters): EntryCommand {
  const { name, command, parameters } = entryPoint
  const parts = trimmed(parseTemplate(command, name, parameters.keys()))
  const names = new Map([...parameters.keys()].map((key, i) => [key, `${VARIABLE}_${i}`]))
  const scanned = scanCommand(parts, name, (key) => `\${${names.get(key)}}`)
  const extra = [...values.extra].flatMap(([key, value]) => [`--${key}`, value])
  const filled = scanned.words.map((word) => fill(word, values.declared))
  const shown = [shownText(parts, values.declared), ...extra.map(shellQuote)].join(' ')
  if (scanned.shellFeature === undefined) {
    const [program, ...args] = filled
    if (!program) throw invalid(`The command of entry point '${name}' is empty.`)
    return { argv: [program, ...args, ...extra], variables: {}, shown }
  }
  const used = [...names].map(([key, variable]) => [variable, values.declared.get(key) ?? ''])
  const extraNames = extra.map((_, i) => `${VARIABLE}_EXTRA_${i}`)
  const text = [scanned.bashText, ...extraNames.map((variable) => `"\${${variable}}"`)].join(' ')
  return {
    argv: ['bash', '-c', text],
    variables: {
      ...Object.fromEntries(used),
      ...Object.fromEntries(extraNames.map((variable, i) => [variable, extra[i] ?? ''])),
    },
    shown,
  }
}

/** Quotes a text for a POSIX shell the way Python's `shlex.quote` does, which MLflow logs params by. */
export function shellQuote(text: string): string {
  if (text !== '' && /^[\w@%+=:,./-]+$/.test(text)) return text
  return `'${text.replaceAll("'", `'"'"'`)}'`
}

/** Text of ours in a template: braces doubled. */
function literal(text: string): string {
  return text.replaceAll(/[{}]/g, '$&$&')
}

function fill(word: Word, values: ReadonlyMap<string, string>): string {
  return word.map((part) => ('text' in part ? part.text : values.get(part.parameter))).join('')
}

function shownText(parts: TemplatePart[], values: ReadonlyMap<string, string>): string {
  return parts
    .map((part) => ('text' in part ? part.text : shellQuote(values.get(part.parameter) ?? '')))
    .join('')
}

/** Without the line ends that a block of YAML leaves around a command. */
function trimmed(parts: TemplatePart[]): TemplatePart[] {
  return parts.map((part, i) => {
    if (!('text' in part)) return part
    const start = i === 0 ? part.text.trimStart() : part.text
    return { text: i === parts.length - 1 ? start.trimEnd() : start }
  })
}
