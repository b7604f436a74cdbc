import type { JobPhase } from '@millrace/api/sagemaker-pages'
import { Elapsed } from '../../components/Elapsed.tsx'
import { FoldedSection } from '../../components/FoldedSection.tsx'
import { phaseName } from './phase-name.ts'

/** What a job has been through, and how long each part took. */
export function JobPhases({ phases, isLive }: { phases: readonly JobPhase[]; isLive: boolean }) {
  return (
    <FoldedSection title="Phases">
      <ol className="phases">
        {phases.map(({ name, message, startMs, endMs }, index) => {
          const isLast = index === phases.length - 1
          return (
            <li key={startMs + name} data-current={isLast && isLive} title={message}>
              <span>{phaseName(name)}</span>
              {!(isLast && !isLive) && (
                <span className="number muted">
                  <Elapsed fromMs={startMs} toMs={endMs} />
                </span>
              )}
            </li>
          )
        })}
      </ol>
    </FoldedSection>
  )
}
