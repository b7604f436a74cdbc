import { Columns2, LineChart, ListTree, Rows3 } from 'lucide-react'
import { Segments } from '../../ui/Segments.tsx'
import type { RunsSearch } from './runs-search.ts'
import type { ChangeSearch } from './runs-state.ts'

/** What the page shows: which runs, nested or not, and the charts beside them. */
export function RunsTools({ search, onChange }: { search: RunsSearch; onChange: ChangeSearch }) {
  const { view, layout, nesting } = search
  const isNested = nesting !== 'flat'
  return (
    <>
      <Segments
        label="Which runs"
        value={view ?? 'active'}
        options={[
          { value: 'active', label: 'Active' },
          { value: 'deleted', label: 'Deleted' },
        ]}
        onChange={(value) =>
          onChange({ view: value === 'deleted' ? value : undefined, selected: undefined })
        }
      />
      <Segments
        label="Layout"
        value={layout ?? 'split'}
        options={[
          { value: 'table', label: <Rows3 className="icon" aria-hidden />, name: 'Table only' },
          {
            value: 'split',
            label: <Columns2 className="icon" aria-hidden />,
            name: 'Table and charts',
          },
          {
            value: 'charts',
            label: <LineChart className="icon" aria-hidden />,
            name: 'Charts only',
          },
        ]}
        onChange={(value) => onChange({ layout: value === 'split' ? undefined : value })}
      />
      <button
        type="button"
        className="button icon-only"
        aria-pressed={isNested}
        aria-label="Children below their parents"
        title={
          isNested
            ? 'Children stand below their parents'
            : 'Children stand where the sort puts them'
        }
        onClick={() => onChange({ nesting: isNested ? 'flat' : undefined })}
      >
        <ListTree className="icon" aria-hidden />
      </button>
    </>
  )
}
