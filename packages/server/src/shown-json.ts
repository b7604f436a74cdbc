const SHOWN_MAX = 200

/**
 * A value as JSON text for a message, cut after 200 characters. Only what is shown is looked at, so
 * neither the size nor the depth of what a client sent matters.
 */
export function shownJson(value: unknown): string {
  let text = ''
  const write = (part: unknown) => {
    if (text.length > SHOWN_MAX) return
    if (typeof part === 'string') text += JSON.stringify(part.slice(0, SHOWN_MAX + 1))
    else if (part !== null && typeof part === 'object') writeNested(part)
    else text += `${(part ?? null) as number | bigint | boolean | null}` // JSON has no others.
  }
  const writeNested = (part: object) => {
    const isArray = Array.isArray(part)
    text += isArray ? '[' : '{'
    let separator = ''
    for (const key in part) {
      if (text.length > SHOWN_MAX) return
      text += separator
      if (!isArray) text += `${JSON.stringify(key.slice(0, SHOWN_MAX + 1))}:`
      write((part as Record<string, unknown>)[key])
      separator = ','
    }
    text += isArray ? ']' : '}'
  }
  write(value)
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}...` : text
}
