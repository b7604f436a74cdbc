import { basePath } from './base-path.ts'

/** Where the bytes of artifacts come from: a run, a version of a model or a logged model. */
export type ArtifactSource =
  | { kind: 'run'; run_id: string }
  | { kind: 'version'; name: string; version: string }
  | { kind: 'logged-model'; model_id: string }

export function artifactUrl(source: ArtifactSource, path: string): string {
  if (source.kind === 'run') {
    return `${basePath}/get-artifact?${new URLSearchParams({ run_id: source.run_id, path })}`
  }
  if (source.kind === 'version') {
    const { name, version } = source
    return `${basePath}/model-versions/get-artifact?${new URLSearchParams({ name, version, path })}`
  }
  const model = encodeURIComponent(source.model_id)
  const file = new URLSearchParams({ artifact_file_path: path })
  return `${basePath}/ajax-api/2.0/mlflow/logged-models/${model}/artifacts/files?${file}`
}
