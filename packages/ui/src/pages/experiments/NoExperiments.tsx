import { basePath } from '../../base-path.ts'
import { CodeBlock } from '../../ui/CodeBlock.tsx'

/** What to do on a server that has nothing yet: three lines that work. */
export function NoExperiments() {
  const code = [
    `import mlflow; mlflow.set_tracking_uri("${location.origin}${basePath}")`,
    'mlflow.set_experiment("first-steps")',
    'mlflow.log_metric("accuracy", 0.93)',
  ].join('\n')
  return (
    <section className="empty">
      <h2>Nothing is logged yet</h2>
      <p>
        Every MLflow client works with this server. Run these lines, and the experiment appears here
        by itself.
      </p>
      <CodeBlock code={code} label="Copy the lines" />
    </section>
  )
}
