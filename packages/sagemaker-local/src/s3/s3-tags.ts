import { rawQuery } from '../auth/canonical-request.ts'
import { S3Error } from './s3-error.ts'
import { childText, type XmlElements, type XmlNode } from './s3-xml.ts'

const KEY_MAX = 128
const VALUE_MAX = 256

/** The tags of an `x-amz-tagging` header: a query string. At most ten. */
export function tagsOfHeader(header: string | undefined): Record<string, string> {
  return checkedTags(rawQuery(`?${header ?? ''}`), 10)
}

/** The tags of a `Tagging` document; at most `countMax`. */
export function tagsOfXml(tagging: XmlNode, countMax: number): Record<string, string> {
  const set = tagging.children.get('TagSet')?.[0]
  if (!set) throw new S3Error('MalformedXML')
  const pairs = (set.children.get('Tag') ?? []).map((tag): [string, string] => {
    const key = childText(tag, 'Key')
    const value = childText(tag, 'Value')
    if (key === undefined || value === undefined) throw new S3Error('MalformedXML')
    return [key, value]
  })
  return checkedTags(pairs, countMax)
}

/** The content of a `Tagging` answer. */
export function taggingOf(tags: Record<string, string>): XmlElements {
  const pairs = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))
  return { TagSet: { Tag: pairs } }
}

function checkedTags(pairs: [string, string][], countMax: number): Record<string, string> {
  if (pairs.length > countMax) {
    throw new S3Error('InvalidTag', { message: `Object tags cannot be greater than ${countMax}` })
  }
  const tags = new Map<string, string>()
  for (const [key, value] of pairs) {
    const refuse = (message: string) =>
      new S3Error('InvalidTag', { message, details: { TagKey: key } })
    if (tags.has(key)) throw refuse('Cannot provide multiple Tags with the same key')
    if (key === '' || key.length > KEY_MAX) throw refuse('The TagKey you have provided is invalid')
    if (value.length > VALUE_MAX) throw refuse('The TagValue you have provided is invalid')
    tags.set(key, value)
  }
  return Object.fromEntries(tags)
}
