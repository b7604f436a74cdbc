/**
 * JSON that a person has typed: an object of texts; numbers and the like are taken as their texts.
 *
 * @throws Error that names what was typed and what is wrong with it
 */
export function readTexts(name: string, typed: string): Record<string, string> {
  if (typed.trim() === '') return {}
  const value = parse(name, typed)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`${name} must be an object such as {"epochs": "10"}.`)
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, text]) => [
      key,
      typeof text === 'string' ? text : JSON.stringify(text),
    ]),
  )
}

function parse(name: string, typed: string): unknown {
  try {
    return JSON.parse(typed)
  } catch (cause) {
    throw new Error(`${name}: ${cause instanceof Error ? cause.message : 'this is not JSON'}`, {
      cause,
    })
  }
}
