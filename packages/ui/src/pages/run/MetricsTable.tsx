import type { Run } from '@millrace/api/runs'
import { FoldedSection } from '../../components/FoldedSection.tsx'
import { formatNumber } from '../../format.ts'
import { isSystemMetric } from '../../metric-names.ts'

/** The last value of every metric, and the step it was logged at. */
export function MetricsTable({ run }: { run: Run }) {
  const metrics = (run.data.metrics ?? [])
    .filter(({ key }) => !isSystemMetric(key))
    .sort((a, b) => a.key.localeCompare(b.key))
  if (metrics.length === 0) return null
  return (
    <FoldedSection title="Last values" count={metrics.length}>
      <table className="pairs">
        <tbody>
          {metrics.map(({ key, value, step }) => (
            <tr key={key}>
              <th scope="row">{key}</th>
              <td className="number" title={`${value} at step ${step}`}>
                {formatNumber(Number(value))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </FoldedSection>
  )
}
