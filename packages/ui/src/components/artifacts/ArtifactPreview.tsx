import { useQuery } from '@tanstack/react-query'
import { Download } from 'lucide-react'
import { lazy, Suspense, useState } from 'react'
import { type ArtifactSource, artifactUrl } from '../../artifact-urls.ts'
import { formatBytes } from '../../format.ts'
import { bytesQuery } from '../../query.ts'
import { CopyButton } from '../../ui/CopyButton.tsx'
import { Segments } from '../../ui/Segments.tsx'
import { Markdown } from '../Markdown.tsx'
import { decodeText, type PreviewKind, previewKind } from './artifact-files.ts'
import { CsvPreview } from './CsvPreview.tsx'
import { JsonPreview } from './JsonPreview.tsx'

const YamlPreview = lazy(() =>
  import('./YamlPreview.tsx').then((module) => ({ default: module.YamlPreview })),
)

const PREVIEW_BYTES = 1_000_000

interface ArtifactPreviewProps {
  source: ArtifactSource
  path: string
  onOpen: (path: string) => void
}

/** One file: its name, a way to download it and as much of it as can be shown. */
export function ArtifactPreview({ source, path }: ArtifactPreviewProps) {
  const [isSource, setSource] = useState(false)
  const url = artifactUrl(source, path)
  const kind = previewKind(path)
  return (
    <>
      <header className="artifact-head">
        <h2 className="truncate mono" title={path}>
          {path}
        </h2>
        <CopyButton text={path} label="Copy the path" />
        {kind !== 'image' && kind !== 'text' && (
          <Segments
            label="Shown as"
            value={isSource ? 'source' : 'preview'}
            options={[
              { value: 'preview', label: 'Preview' },
              { value: 'source', label: 'Source' },
            ]}
            onChange={(value) => setSource(value === 'source')}
          />
        )}
        <a className="button small" href={url} download={path.split('/').at(-1)}>
          <Download className="icon" aria-hidden />
          Download
        </a>
      </header>
      {kind === 'image' ? (
        <img className="artifact-image" src={url} alt={path} />
      ) : (
        <TextPreview url={url} kind={isSource ? 'text' : kind} path={path} />
      )}
    </>
  )
}

function TextPreview({ url, kind, path }: { url: string; kind: PreviewKind; path: string }) {
  const { data, error } = useQuery(bytesQuery(url, PREVIEW_BYTES))
  if (error) {
    return (
      <p role="alert" className="field-error">
        This file could not be read: {error.message}
      </p>
    )
  }
  if (data === undefined) return null
  const text = decodeText(data.bytes)
  if (text === undefined) {
    return <p className="muted artifact-note">Not text, so there is no preview. Download it.</p>
  }
  if (text === '') return <p className="muted artifact-note">The file is empty.</p>
  return (
    <>
      {data.isCut && (
        <p className="muted artifact-note">
          The first {formatBytes(PREVIEW_BYTES)} are shown. Download the file to see all of it.
        </p>
      )}
      <Suspense>
        <Content text={text} kind={data.isCut && kind !== 'csv' ? 'text' : kind} path={path} />
      </Suspense>
    </>
  )
}

function Content({ text, kind, path }: { text: string; kind: PreviewKind; path: string }) {
  if (kind === 'markdown') return <Markdown source={text} />
  if (kind === 'json') return <JsonPreview text={text} />
  if (kind === 'yaml') return <YamlPreview text={text} />
  if (kind === 'csv') return <CsvPreview text={text} separator="," />
  if (kind === 'tsv') return <CsvPreview text={text} separator={'\t'} />
  // Without permissions the frame runs no script, follows no link and cannot reach this page.
  if (kind === 'html')
    return <iframe className="artifact-frame" title={path} sandbox="" srcDoc={text} />
  return <pre className="artifact-text">{text}</pre>
}
