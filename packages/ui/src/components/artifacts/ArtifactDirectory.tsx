import type { FileInfo } from '@millrace/api/artifacts'
import { useQuery } from '@tanstack/react-query'
import { ChevronDown, ChevronRight, File, FileImage, FileText, Folder } from 'lucide-react'
import { useState } from 'react'
import type { ArtifactSource } from '../../artifact-urls.ts'
import { formatBytes } from '../../format.ts'
import { directoryQuery, previewKind } from './artifact-files.ts'

interface ArtifactDirectoryProps {
  source: ArtifactSource
  path: string
  shown: string | undefined
  onOpen: (path: string) => void
}

/** One directory; those below it are listed when they are opened. */
export function ArtifactDirectory(props: ArtifactDirectoryProps) {
  const { data: files = [], error } = useQuery(directoryQuery(props.source, props.path))
  if (error) return <p className="field-error">{error.message}</p>
  return (
    <ul>
      {files.map((file) => (
        <li key={file.path}>
          {file.is_dir ? (
            <SubDirectory {...props} file={file} />
          ) : (
            <FileLink {...props} file={file} />
          )}
        </li>
      ))}
    </ul>
  )
}

type EntryProps = ArtifactDirectoryProps & { file: FileInfo }

function SubDirectory({ file, shown, ...rest }: EntryProps) {
  const [isOpen, setOpen] = useState(shown?.startsWith(`${file.path}/`) ?? false)
  const Chevron = isOpen ? ChevronDown : ChevronRight
  return (
    <>
      <button
        type="button"
        className="artifact-entry"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        <Chevron className="icon" aria-hidden />
        <Folder className="icon" aria-hidden />
        <span className="truncate">{nameOf(file.path)}</span>
      </button>
      {isOpen && <ArtifactDirectory {...rest} path={file.path} shown={shown} />}
    </>
  )
}

const ICONS = { image: FileImage, text: File } as const

function FileLink({ file, shown, onOpen }: EntryProps) {
  const kind = previewKind(file.path)
  const Icon = kind === 'image' || kind === 'text' ? ICONS[kind] : FileText
  return (
    <button
      type="button"
      className="artifact-entry"
      aria-current={file.path === shown}
      onClick={() => onOpen(file.path)}
    >
      <Icon className="icon" aria-hidden />
      <span className="truncate" title={file.path}>
        {nameOf(file.path)}
      </span>
      {file.file_size !== undefined && (
        <span className="muted number">{formatBytes(file.file_size)}</span>
      )}
    </button>
  )
}

function nameOf(path: string): string {
  return path.split('/').at(-1) ?? path
}
