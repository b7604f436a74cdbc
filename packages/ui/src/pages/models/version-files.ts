import type { ModelVersion } from '@millrace/api/model-versions'
import type { ArtifactSource } from '../../artifact-urls.ts'

/** Where the files of a version can be listed: in its logged model or in its run. */
export interface VersionFiles {
  source: ArtifactSource
  /** The directory that is the model's. */
  top: string
}

/** Undefined when the version's source lies outside of what the server can list. */
export function filesOfVersion({
  source,
  run_id,
  model_id,
}: Pick<ModelVersion, 'source' | 'run_id' | 'model_id'>): VersionFiles | undefined {
  const logged = model_id || /^models:\/(m-[^/@]+)$/.exec(source)?.[1]
  if (logged) return { source: { kind: 'logged-model', model_id: logged }, top: '' }
  if (run_id === '') return undefined
  const path = /^runs:\/[^/]+\/(.+)$/.exec(source) ?? pathBelow(source, `${run_id}/artifacts/`)
  const top = path?.[1]?.replace(/\/+$/, '')
  return top ? { source: { kind: 'run', run_id }, top } : undefined
}

function pathBelow(source: string, marker: string): [string, string] | undefined {
  const at = source.indexOf(marker)
  return at < 0 ? undefined : [source, source.slice(at + marker.length)]
}
