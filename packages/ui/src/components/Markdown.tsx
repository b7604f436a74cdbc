import DOMPurify from 'dompurify'
import { marked } from 'marked'
import './markdown.css'

/** Markdown that people or programs wrote, with everything taken out that could act. */
export function Markdown({ source }: { source: string }) {
  if (source.trim() === '') return null
  const html = DOMPurify.sanitize(marked.parse(source, { async: false, gfm: true }), {
    USE_PROFILES: { html: true },
    FORBID_TAGS: ['style', 'form', 'input', 'button', 'textarea', 'select', 'video', 'audio'],
    FORBID_ATTR: ['style', 'id', 'class', 'name'],
  })
  return <div className="markdown" dangerouslySetInnerHTML={{ __html: html }} />
}
