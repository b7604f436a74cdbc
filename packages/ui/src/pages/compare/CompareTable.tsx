import type { Run } from '@millrace/api/runs'
import { Link } from '@tanstack/react-router'
import { Target, X } from 'lucide-react'
import type { CSSProperties } from 'react'
import { LongText } from '../../components/LongText.tsx'
import { RunState } from '../../components/RunState.tsx'
import { formatDuration } from '../../format.ts'
import { compareRuns, type DiffKind, type DiffRow } from '../../run-diff.ts'
import { durationOf, numberIn } from '../../run-values.ts'
import type { SeriesStyle } from '../../series-colours.ts'
import { useNow } from '../../ui/use-now.ts'
import { MetricRow } from './MetricRow.tsx'

interface CompareTableProps {
  runs: readonly Run[]
  baseline: Run
  styles: ReadonlyMap<string, SeriesStyle>
  showsAll: boolean
  onBaseline: (run_id: string) => void
  onRemove: (run_id: string) => void
}

/** The runs side by side, line by line: what differs, unless all is asked for. */
export function CompareTable({ runs, baseline, showsAll, ...head }: CompareTableProps) {
  const baselineIndex = runs.indexOf(baseline)
  return (
    <div className="compare-scroller">
      <table className="compare-table">
        <thead>
          <tr>
            <td />
            {runs.map((run) => (
              <RunHead key={run.info.run_id} run={run} isBaseline={run === baseline} {...head} />
            ))}
          </tr>
        </thead>
        <Group runs={runs} kind="metrics" showsAll={showsAll} baselineIndex={baselineIndex} />
        <Group runs={runs} kind="params" showsAll={showsAll} baselineIndex={baselineIndex} />
        <Group runs={runs} kind="tags" showsAll={showsAll} baselineIndex={baselineIndex} />
      </table>
    </div>
  )
}

type RunHeadProps = Pick<CompareTableProps, 'styles' | 'onBaseline' | 'onRemove'> & {
  run: Run
  isBaseline: boolean
}

function RunHead({ run, isBaseline, styles, onBaseline, onRemove }: RunHeadProps) {
  const { info } = run
  const duration = durationOf(run, useNow())
  const style = styles.get(info.run_id)
  return (
    <th scope="col">
      <span className="compare-run">
        <span
          className="run-dot"
          data-drawn
          data-dashed={style !== undefined && style.dash > 0}
          style={{ '--colour': style?.colour } as CSSProperties}
        />
        <RunState status={info.status} />
        <Link
          className="truncate"
          to="/experiments/$experimentId/runs/$runId"
          params={{ experimentId: info.experiment_id, runId: info.run_id }}
          title={info.run_name}
        >
          {info.run_name}
        </Link>
        <button
          type="button"
          className="copy"
          aria-label={`Leave out ${info.run_name}`}
          onClick={() => onRemove(info.run_id)}
        >
          <X className="icon" aria-hidden />
        </button>
      </span>
      <span className="compare-sub">
        {isBaseline ? (
          <span className="chip">baseline</span>
        ) : (
          <button
            type="button"
            className="button quiet small"
            aria-label={`Make ${info.run_name} the baseline`}
            onClick={() => onBaseline(info.run_id)}
          >
            <Target className="icon" aria-hidden />
            Make baseline
          </button>
        )}
        {duration !== undefined && <span className="muted">{formatDuration(duration)}</span>}
      </span>
    </th>
  )
}

interface GroupProps {
  runs: readonly Run[]
  kind: DiffKind
  showsAll: boolean
  baselineIndex: number
}

const SHOWN = 400

function Group({ runs, kind, showsAll, baselineIndex }: GroupProps) {
  const rows = compareRuns(runs, kind)
  const shown = showsAll ? rows : rows.filter(({ differs }) => differs)
  const same = rows.length - shown.length
  if (rows.length === 0) return null
  return (
    <tbody>
      <tr className="compare-group">
        <th scope="rowgroup" colSpan={runs.length + 1}>
          {kind} <span className="muted">{describe(shown.length, same)}</span>
        </th>
      </tr>
      {shown
        .slice(0, SHOWN)
        .map((row) =>
          kind === 'metrics' ? (
            <MetricRow key={row.key} row={row} baselineIndex={baselineIndex} />
          ) : (
            <TextRow key={row.key} row={row} baselineIndex={baselineIndex} />
          ),
        )}
      {shown.length > SHOWN && (
        <tr>
          <td colSpan={runs.length + 1} className="muted">
            and {shown.length - SHOWN} more
          </td>
        </tr>
      )}
    </tbody>
  )
}

function describe(shown: number, same: number): string {
  if (same === 0) return String(shown)
  return shown === 0 ? `all ${same} the same` : `${shown} differ, ${same} the same`
}

function TextRow({ row, baselineIndex }: { row: DiffRow; baselineIndex: number }) {
  const base = row.texts[baselineIndex]
  return (
    <tr>
      <th scope="row">{row.key}</th>
      {row.texts.map((text, index) => (
        <td key={index} className={cellClass(text, text !== base)}>
          {text !== undefined && <LongText text={text} />}
        </td>
      ))}
    </tr>
  )
}

function cellClass(text: string | undefined, isChanged: boolean): string {
  const isNumber = text !== undefined && numberIn(text) !== undefined
  return [isNumber && 'number', isChanged && 'changed'].filter(Boolean).join(' ')
}
