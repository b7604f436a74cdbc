import type { Run } from '@millrace/api/runs'
import { FoldedSection } from '../../components/FoldedSection.tsx'

/** The data that a run was given. */
export function Datasets({ run }: { run: Run }) {
  const inputs = run.inputs?.dataset_inputs ?? []
  if (inputs.length === 0) return null
  return (
    <FoldedSection title="Datasets" count={inputs.length}>
      <ul className="side-list">
        {inputs.map(({ dataset, tags = [] }) => (
          <li key={`${dataset.name} ${dataset.digest}`}>
            <span className="truncate">{dataset.name}</span>
            <code className="muted">{dataset.digest}</code>
            <span className="muted">
              {tags.find(({ key }) => key === 'mlflow.data.context')?.value}
            </span>
            <p className="muted">{describe(dataset)}</p>
          </li>
        ))}
      </ul>
    </FoldedSection>
  )
}

interface DatasetTexts {
  schema?: string | undefined
  profile?: string | undefined
}

/** '60,000 rows, 3 columns', as far as the client said so. */
function describe({ schema, profile }: DatasetTexts): string {
  const rows = readJson(profile)['num_rows']
  const columns = readJson(schema)['mlflow_colspec']
  return [
    typeof rows === 'number' && `${rows.toLocaleString('en-US')} rows`,
    Array.isArray(columns) && `${columns.length} columns`,
  ]
    .filter(Boolean)
    .join(', ')
}

function readJson(text: string | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? '{}')
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
