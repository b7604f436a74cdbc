import { columnFormat } from '../../format.ts'
import { bestOf, directionOf } from '../../metric-names.ts'
import { type Change, changeFrom, type DiffRow, formatShare } from '../../run-diff.ts'

/** One metric of all runs, each with its distance from the baseline. */
export function MetricRow({ row, baselineIndex }: { row: DiffRow; baselineIndex: number }) {
  const values = row.texts.map((text) => (text === undefined ? undefined : Number(text)))
  const present = values.filter((value) => value !== undefined)
  const format = columnFormat(present)
  const best = row.differs ? bestOf(row.key, present) : undefined
  const base = values[baselineIndex]
  const direction = directionOf(row.key)
  return (
    <tr>
      <th scope="row">
        {row.key}
        {direction && (
          <span className="better" title={`${direction} is better`}>
            {direction === 'higher' ? ' ↑' : ' ↓'}
          </span>
        )}
      </th>
      {values.map((value, index) => {
        if (value === undefined) return <td key={index} />
        const change = base === undefined ? undefined : changeFrom(row.key, base, value)
        return (
          <td
            key={index}
            className={value === best ? 'number best' : 'number'}
            title={String(value)}
          >
            {value === best && <span className="visually-hidden">best: </span>}
            {format(value)}
            {change && <ChangeText change={change} />}
          </td>
        )
      })}
    </tr>
  )
}

function ChangeText({ change: { share, isBetter } }: { change: Change }) {
  if (share === undefined) return null
  const state = isBetter === undefined ? 'muted' : isBetter ? 'change-better' : 'change-worse'
  return (
    <span className={`change ${state}`}>
      {formatShare(share)}
      {isBetter !== undefined && (
        <span className="visually-hidden">{isBetter ? ', better' : ', worse'}</span>
      )}
    </span>
  )
}
