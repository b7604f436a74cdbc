import type { Run } from '@millrace/api/runs'
import { KeyValueTable } from '../../components/KeyValueTable.tsx'
import { Note } from '../../components/Note.tsx'
import { TagEditor } from '../../components/TagEditor.tsx'
import { client } from '../../query.ts'
import { valuesOf } from '../../run-values.ts'
import { Datasets } from './Datasets.tsx'
import { MetricsTable } from './MetricsTable.tsx'
import { RunCurves } from './RunCurves.tsx'
import { RunFamily } from './RunFamily.tsx'
import { RunModels } from './RunModels.tsx'
import type { RunSearch } from './run-search.ts'
import '../../components/overview.css'

interface RunOverviewProps {
  run: Run
  settings: RunSearch
  onChange: (part: { [K in keyof RunSearch]?: RunSearch[K] | undefined }) => void
}

const NOTE = 'mlflow.note.content'

/** Curves first, what the run was given beside them. */
export function RunOverview({ run, settings, onChange }: RunOverviewProps) {
  const { run_id } = run.info
  const { params, tags } = valuesOf(run)
  const setTag = (key: string, value: string) => client.runs.setTag({ run_id, key, value })
  return (
    <div className="overview">
      <div className="overview-main">
        <Note text={tags.get(NOTE) ?? ''} onSave={(text) => setTag(NOTE, text)} />
        <RunCurves run={run} settings={settings} onChange={onChange} />
      </div>
      <aside className="overview-side" aria-label="Details">
        <KeyValueTable title="Params" entries={[...params]} />
        <MetricsTable run={run} />
        <TagEditor
          tags={[...tags]}
          onSet={setTag}
          onDelete={(key) => client.runs.deleteTag({ run_id, key })}
        />
        <RunModels run={run} />
        <Datasets run={run} />
        <RunFamily run={run} />
      </aside>
    </div>
  )
}
