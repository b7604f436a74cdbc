import { useQuery } from '@tanstack/react-query'
import type { ArtifactSource } from '../../artifact-urls.ts'
import { ArtifactDirectory } from './ArtifactDirectory.tsx'
import { ArtifactPreview } from './ArtifactPreview.tsx'
import { directoryQuery } from './artifact-files.ts'
import './artifacts.css'

interface ArtifactBrowserProps {
  source: ArtifactSource
  /** The directory that is the top of the tree; '' for all of them. */
  top?: string
  /** The file or directory that is shown. */
  path: string | undefined
  onOpen: (path: string) => void
}

/** Files on the left, the chosen one on the right. */
export function ArtifactBrowser({ source, top = '', path, onOpen }: ArtifactBrowserProps) {
  const { data: files, error } = useQuery(directoryQuery(source, top))
  if (error) return <p className="empty field-error">{error.message}</p>
  if (files?.length === 0) {
    return (
      <div className="empty">
        <h2>No artifacts</h2>
        <p>
          <code>mlflow.log_artifact("report.html")</code> puts a file here.
        </p>
      </div>
    )
  }
  const shown = path ?? files?.find((file) => !file.is_dir)?.path
  return (
    <div className="artifacts">
      <nav className="artifact-tree" aria-label="Artifacts">
        <ArtifactDirectory source={source} path={top} shown={shown} onOpen={onOpen} />
      </nav>
      <section className="artifact-view" aria-label="Preview">
        {shown !== undefined && (
          <ArtifactPreview key={shown} source={source} path={shown} onOpen={onOpen} />
        )}
      </section>
    </div>
  )
}
