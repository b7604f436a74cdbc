import type { FileInfo } from '@millrace/api/artifacts'
import { queryOptions } from '@tanstack/react-query'
import type { ArtifactSource } from '../../artifact-urls.ts'
import { client } from '../../query.ts'

/** A directory of artifacts, directories first; `path` is '' for the root. */
export function directoryQuery(source: ArtifactSource, path: string) {
  return queryOptions({
    queryKey: ['directory', source, path],
    queryFn: async ({ signal }) => sortedFiles(await list(source, path, signal)),
  })
}

function list(source: ArtifactSource, path: string, signal: AbortSignal) {
  if (source.kind === 'logged-model') {
    const { model_id } = source
    const where = path === '' ? { model_id } : { model_id, artifact_directory_path: path }
    return client.loggedModels.listArtifacts(where, { signal })
  }
  if (source.kind === 'run') {
    const { run_id } = source
    return client.artifacts.list(path === '' ? { run_id } : { run_id, path }, { signal })
  }
  throw new Error('The files of a version are listed through its run or logged model')
}

function sortedFiles({ files = [] }: { files?: FileInfo[] | undefined }): FileInfo[] {
  return [...files].sort(
    (a, b) => Number(b.is_dir) - Number(a.is_dir) || a.path.localeCompare(b.path),
  )
}

export type PreviewKind = 'image' | 'markdown' | 'json' | 'yaml' | 'csv' | 'tsv' | 'html' | 'text'

const KINDS: Record<string, PreviewKind> = {
  png: 'image',
  jpg: 'image',
  jpeg: 'image',
  gif: 'image',
  webp: 'image',
  bmp: 'image',
  svg: 'image',
  md: 'markdown',
  markdown: 'markdown',
  json: 'json',
  geojson: 'json',
  ipynb: 'json',
  yaml: 'yaml',
  yml: 'yaml',
  csv: 'csv',
  tsv: 'tsv',
  html: 'html',
  htm: 'html',
}

/** How a file is shown, by its name. */
export function previewKind(path: string): PreviewKind {
  const name = path.split('/').at(-1) ?? path
  if (name === 'MLmodel' || name === 'MLproject') return 'yaml'
  const dot = name.lastIndexOf('.')
  return (dot > 0 && KINDS[name.slice(dot + 1).toLowerCase()]) || 'text'
}

/** Bytes as text; undefined when they are not UTF-8 text. A cut end may split a character. */
export function decodeText(bytes: Uint8Array<ArrayBuffer>): string | undefined {
  if (bytes.subarray(0, 8000).includes(0)) return undefined
  for (let cut = 0; cut < 4; cut++) {
    try {
      const whole = bytes.subarray(0, bytes.length - cut)
      return new TextDecoder('utf-8', { fatal: true }).decode(whole)
    } catch {
      // Tried again without the last byte, which may be the first half of a character.
    }
  }
  return undefined
}
