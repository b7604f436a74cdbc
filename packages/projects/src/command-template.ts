import { invalid } from '@millrace/api/errors'

/** A part of a command: text as the project's author wrote it, or where a parameter goes. */
export type TemplatePart = { text: string } | { parameter: string }

const NAME = /^[^{}[\].!:]+$/

/**
 * Parses a template of Python's `str.format` that has fields by name only: `{alpha}`, with `{{` and
 * `}}` for braces.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for a field that is no parameter, and for other syntax
 */
export function parseTemplate(
  template: string,
  entryPoint: string,
  parameters: Iterable<string>,
): TemplatePart[] {
  const known = new Set(parameters)
  const parts: TemplatePart[] = []
  const refuse = (what: string) =>
    invalid(`The command of entry point '${entryPoint}' has ${what}: ${template}`)
  let text = ''
  for (let at = 0; at < template.length; at += 1) {
    const character = template[at] ?? ''
    if (character !== '{' && character !== '}') {
      text += character
      continue
    }
    if (template[at + 1] === character) {
      text += character
      at += 1
      continue
    }
    if (character === '}') throw refuse("a '}' on its own; write '}}' for a brace")
    const end = template.indexOf('}', at)
    if (end < 0) throw refuse("a '{' that is not closed; write '{{' for a brace")
    const field = template.slice(at + 1, end)
    // `{alpha!s}` says what happens anyway.
    const name = field.replace(/!s$/, '')
    if (!NAME.test(name)) throw refuse(`the field '{${field}}', which is no parameter's name`)
    if (!known.has(name)) {
      throw refuse(`the field '{${name}}', which is not among its parameters`)
    }
    if (text !== '') parts.push({ text })
    parts.push({ parameter: name })
    text = ''
    at = end
  }
  if (text !== '') parts.push({ text })
  return parts
}
