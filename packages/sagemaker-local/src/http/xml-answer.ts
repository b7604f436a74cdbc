/** What can stand in an answer of the query protocol; lists become `<member>` elements. */
export type XmlValue = string | number | boolean | Date | undefined | XmlValue[] | XmlObject

interface XmlObject {
  [name: string]: XmlValue
}

/** An XML document with one root. */
export function toXml(
  root: string,
  content: object,
  attributes: Record<string, string> = {},
): string {
  const written = Object.entries(attributes).map(([name, value]) => ` ${name}="${escape(value)}"`)
  // Answers are plain objects of the values above; what JSON could not carry is not among them.
  return `<${root}${written.join('')}>${elements(content as XmlObject)}</${root}>`
}

function elements(content: XmlObject): string {
  return Object.entries(content)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `<${name}>${inner(value)}</${name}>`)
    .join('')
}

function inner(value: XmlValue): string {
  if (Array.isArray(value)) return value.map((item) => `<member>${inner(item)}</member>`).join('')
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'object') return elements(value)
  return escape(String(value))
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
