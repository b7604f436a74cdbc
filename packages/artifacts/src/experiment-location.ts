import { invalid } from '@millrace/api/errors'
import { findArtifactPath } from './artifact-path.ts'
import { type HostPolicy, refuseForeignHost } from './host-policy.ts'
import { type ArtifactLocation, parseLocation } from './location.ts'

export interface ExperimentLocationOptions extends HostPolicy {
  /** Whether clients may have artifacts kept in directories of this machine. */
  allowLocal: boolean
  /** In characters: `MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH`. */
  lengthMax?: number
}

/**
 * The `artifact_location` a client wants for an experiment, with the limits and texts of MLflow
 * 3.17 `_validate_storage_location_uri` on top of `parseLocation`.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE
 */
export function parseExperimentLocation(
  text: string,
  { lengthMax = 2048, ...options }: ExperimentLocationOptions,
): ArtifactLocation {
  if (text.length > lengthMax) {
    throw invalid(
      'Invalid artifact path length. The length of the artifact path cannot be greater than ' +
        `${lengthMax} characters. To configure this limit, please set the ` +
        'MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH environment variable.',
    )
  }
  if (/[#;]/.test(text)) {
    throw invalid("'artifact_location' URL can't include fragments or params.")
  }
  if (/\?.*\.\./s.test(text)) throw invalid('Invalid query string')
  if (/^runs:/i.test(text)) {
    throw invalid(`Artifact location cannot be a runs:/ URI. Given: '${text}'`)
  }

  const location = parseLocation(text)
  refuseForeignHost(location, 'artifact_location', options)
  if (location.scheme !== 'file') return location
  if (!options.allowLocal) {
    throw invalid(
      `'artifact_location' cannot be a local path: '${text}'. ` +
        'This server only keeps artifacts in its own artifact storage.',
    )
  }
  // An operator may choose any directory; a client's must be one that artifacts could have.
  if (!findArtifactPath(location.path.slice(1))) {
    throw invalid(`Invalid artifact location: '${text}'`)
  }
  return location
}
