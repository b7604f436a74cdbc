import { extname } from 'node:path'
import { lookup } from 'mime-types'

// MLflow 3.17 `get_text_extensions`: what the UI previews is served as text whatever its type.
const TEXT = new Set(
  (
    'txt log err cfg conf cnf cf ini properties prop hocon toml yaml yml xml json js py py3 csv ' +
    'tsv md rst ipynb MLmodel mlproject'
  ).split(' '),
)

/**
 * The `Content-Type` an artifact is served with: plain text for what MLflow counts as text, by
 * extension or, without one, by whole name; else by extension, else bytes.
 */
export function contentType(filename: string): string {
  const extension = extname(filename)
  if (TEXT.has(extension === '' ? filename : extension.slice(1))) return 'text/plain'
  return (extension !== '' && lookup(extension)) || 'application/octet-stream'
}

/**
 * A `Content-Disposition` that downloads under this name. Names that are not plain ASCII, or that
 * browsers read differently (`%`, quotes), come in RFC 5987 form beside an ASCII fallback.
 */
export function contentDisposition(filename: string): string {
  if (/^[\w!#$&+.^`|~-]+$/.test(filename)) return `attachment; filename=${filename}`
  const ascii = filename.normalize('NFKD').replace(/[^ -~]/g, '') || 'download'
  const fallback = `attachment; filename="${ascii.replace(/["\\]/g, '\\$&')}"`
  const isPlain = /^[ -~]*$/.test(filename) && !/[%"\\]/.test(filename)
  return isPlain ? fallback : `${fallback}; filename*=UTF-8''${rfc5987(filename)}`
}

// encodeURIComponent leaves these alone, and RFC 5987 does not allow them.
function rfc5987(text: string): string {
  return encodeURIComponent(text).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
