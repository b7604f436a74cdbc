import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { S3Error } from './s3-error.ts'

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'
const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

/** What stands inside an element: text, elements by name, or several elements of one name. */
export type XmlContent = string | number | boolean | undefined | XmlContent[] | XmlElements
export interface XmlElements {
  [name: string]: XmlContent
}

/** An answer of S3: one root element in its namespace. */
export function s3Xml(root: string, content: XmlContent): string {
  return `${DECLARATION}<${root} xmlns="${NAMESPACE}">${written(content)}</${root}>`
}

/** The answer of a refusal, which has no namespace. */
export function errorXml(content: XmlElements): string {
  return `${DECLARATION}<Error>${written(content)}</Error>`
}

function element(name: string, content: XmlContent): string {
  if (content === undefined) return ''
  if (Array.isArray(content)) return content.map((one) => element(name, one)).join('')
  return `<${name}>${written(content)}</${name}>`
}

function written(content: XmlContent): string {
  if (content === undefined) return ''
  if (typeof content !== 'object') return escapeXml(String(content))
  if (Array.isArray(content)) return content.map(written).join('')
  return Object.entries(content)
    .map(([name, value]) => element(name, value))
    .join('')
}

function escapeXml(text: string): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
  }
  // Letters that XML cannot hold are written as S3 does, though no parser takes them: clients that
  // have such keys ask for encoding-type=url.
  return text.replace(
    /[&<>"]|[^\t\n -\ufffd]/g,
    (letter) => entities[letter] ?? `&#x${letter.charCodeAt(0).toString(16)};`,
  )
}

/** An element of a request; every child is a list. */
export interface XmlNode {
  children: Map<string, XmlNode[]>
  text: string
}

const DEPTH_MAX = 32
const CDATA = '#cdata'
const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: true,
  parseTagValue: false,
  trimValues: false,
  processEntities: false,
  cdataPropName: CDATA,
  removeNSPrefix: true,
})

/** The root of a request's XML; `MalformedXML` for another root, a document type, or no XML. */
export function parseXml(text: string, root: string): XmlNode {
  const isSafe = !/<!(DOCTYPE|ENTITY)/i.test(text) && depthOf(text) <= DEPTH_MAX
  if (!isSafe || XMLValidator.validate(text) !== true) throw new S3Error('MalformedXML')
  const document = nodeOf(parser.parse(text) as RawNode[])
  const [node, ...others] = document.children.get(root) ?? []
  if (!node || others.length > 0) throw new S3Error('MalformedXML')
  return node
}

/** The text of the first child of a name; undefined when there is none. */
export function childText(node: XmlNode, name: string): string | undefined {
  return node.children.get(name)?.[0]?.text
}

type RawNode = Record<string, RawNode[] | string | number>

function nodeOf(raw: RawNode[]): XmlNode {
  const node: XmlNode = { children: new Map(), text: '' }
  for (const entry of raw) {
    for (const [name, value] of Object.entries(entry)) {
      if (name === '#text') node.text += unescapeXml(String(value))
      else if (name === CDATA) node.text += literalText(value)
      else if (Array.isArray(value)) {
        const siblings = node.children.get(name) ?? []
        siblings.push(nodeOf(value))
        node.children.set(name, siblings)
      }
    }
  }
  return node
}

function literalText(value: RawNode[string]): string {
  return Array.isArray(value) ? value.map((entry) => String(entry['#text'] ?? '')).join('') : ''
}

/** The five entities of XML and letters by number; no others exist without a document type. */
function unescapeXml(text: string): string {
  const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
  return text.replace(
    /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos));/g,
    (whole, decimal: string | undefined, hex: string | undefined, name: string | undefined) => {
      if (name !== undefined) return entities[name] ?? whole
      const point = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
      return point <= 0x10ffff ? String.fromCodePoint(point) : whole
    },
  )
}

/** How deep elements are nested, counted before any parser builds them. */
function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  for (const [tag] of text.matchAll(/<[^>]*>/g)) {
    if (tag.startsWith('</')) depth--
    else if (!/^<[?!]|\/>$/.test(tag)) deepest = Math.max(deepest, ++depth)
  }
  return deepest
}
