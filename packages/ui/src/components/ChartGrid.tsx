import type { Run } from '@millrace/api/runs'
import { ChevronDown, ChevronRight } from 'lucide-react'
import { memo, useState } from 'react'
import { isSystemMetric } from '../metric-names.ts'
import type { SeriesStyle } from '../series-colours.ts'
import { type MetricSection, sectionsOf } from './chart-runs.ts'
import type { ChartSearch } from './chart-search.ts'
import { DotCard } from './DotCard.tsx'
import { MetricCard } from './MetricCard.tsx'
import './charts.css'

interface ChartGridProps {
  runs: readonly Run[]
  styles: ReadonlyMap<string, SeriesStyle>
  settings: ChartSearch
}

/** Charts of all metrics of some runs, a section for each prefix. */
export const ChartGrid = memo(function ChartGrid({ runs, styles, settings }: ChartGridProps) {
  const sections = sectionsOf(runs)
  if (sections.length === 0) {
    return <p className="empty muted">There is no curve to draw yet.</p>
  }
  return (
    <div className="chart-sections">
      {sections.map((section) => (
        <Section
          key={section.name}
          section={section}
          isNamed={sections.length > 1 || section.name !== ''}
          runs={runs}
          styles={styles}
          settings={settings}
        />
      ))}
    </div>
  )
})

function Section({
  section,
  isNamed,
  ...cards
}: ChartGridProps & { section: MetricSection; isNamed: boolean }) {
  const [isOpen, setOpen] = useState(!isSystemMetric(`${section.name}/`))
  const name = section.name === '' ? 'metrics' : section.name
  const Chevron = isOpen ? ChevronDown : ChevronRight
  return (
    <section className="chart-section" aria-label={`Charts of ${name}`}>
      {isNamed && (
        <h2>
          <button
            type="button"
            className="section-toggle"
            aria-expanded={isOpen}
            onClick={() => setOpen(!isOpen)}
          >
            <Chevron className="icon" aria-hidden />
            {name}
            <span className="muted">{section.metrics.length}</span>
          </button>
        </h2>
      )}
      {isOpen && (
        <div className="chart-cards">
          {section.metrics.map(({ key, isSingle }) =>
            isSingle ? (
              <DotCard key={key} metric={key} runs={cards.runs} styles={cards.styles} />
            ) : (
              <MetricCard key={key} metric={key} {...cards} />
            ),
          )}
        </div>
      )}
    </section>
  )
}
