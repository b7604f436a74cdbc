import { basePath } from '../../base-path.ts'
import { CodeBlock } from '../../ui/CodeBlock.tsx'
import type { RunsSearch } from './runs-search.ts'
import type { ChangeSearch } from './runs-state.ts'

interface NoRunsProps {
  experimentId: string
  search: RunsSearch
  onChange: ChangeSearch
}

/** An experiment, a bin or a filter without runs, and what to do about it. */
export function NoRuns({ experimentId, search, onChange }: NoRunsProps) {
  if (search.filter !== undefined) {
    return (
      <main className="empty">
        <h2>No run matches</h2>
        <p>
          The filter is <code>{search.filter}</code>.
        </p>
        <button type="button" className="button" onClick={() => onChange({ filter: undefined })}>
          Clear the filter
        </button>
      </main>
    )
  }
  if (search.view === 'deleted') {
    return (
      <main className="empty">
        <h2>The bin is empty</h2>
        <p>Deleted runs wait here until they are purged.</p>
      </main>
    )
  }
  const code = [
    `import mlflow; mlflow.set_tracking_uri("${location.origin}${basePath}")`,
    `mlflow.set_experiment(experiment_id="${experimentId}")`,
    'mlflow.log_metric("accuracy", 0.93)',
  ].join('\n')
  return (
    <main className="empty">
      <h2>No runs yet</h2>
      <p>Run these lines, and the run appears here by itself.</p>
      <CodeBlock code={code} label="Copy the lines" />
    </main>
  )
}
