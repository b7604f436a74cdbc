import { basePath } from '../../base-path.ts'
import { CodeBlock } from '../../ui/CodeBlock.tsx'

/** What to do where nothing is registered yet. */
export function NoModels() {
  const code = [
    `import mlflow; mlflow.set_tracking_uri("${location.origin}${basePath}")`,
    'run_id = mlflow.search_runs(search_all_experiments=True).run_id[0]',
    'mlflow.register_model(f"runs:/{run_id}/model", "my-model")',
  ].join('\n')
  return (
    <section className="empty">
      <h2>No model is registered yet</h2>
      <p>Registering gives a model that a run saved a name, a version and a place to be found.</p>
      <CodeBlock code={code} label="Copy the lines" />
    </section>
  )
}
