import { type ApiError, invalid, notFound } from '@millrace/api/errors'
import { type ArtifactPath, formatArtifactPath } from './artifact-path.ts'

/** What every store says of a path that nothing is at. */
export function noSuchArtifact(path: ArtifactPath): ApiError {
  return notFound(`No such artifact: '${formatArtifactPath(path)}'`)
}

/** What every store says when the bytes of a directory are asked for. */
export function isADirectory(path: ArtifactPath): ApiError {
  return invalid(`Artifact path refers to a directory, not a file: '${formatArtifactPath(path)}'`)
}

/** What every store says when its root is to be a file. */
export function noFileName(): ApiError {
  return invalid("Artifact path must include a filename (cannot end with '/').")
}
