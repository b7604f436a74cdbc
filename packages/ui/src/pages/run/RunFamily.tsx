import type { Run } from '@millrace/api/runs'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { FoldedSection } from '../../components/FoldedSection.tsx'
import { RunState } from '../../components/RunState.tsx'
import { client, query } from '../../query.ts'
import { parentOf } from '../../run-values.ts'
import { childrenQuery } from './children-query.ts'

/** The run that this one is part of, and those that are part of it. */
export function RunFamily({ run }: { run: Run }) {
  const parent = parentOf(run)
  const { data } = useQuery(childrenQuery(run))
  const children = data?.runs ?? []
  return (
    <>
      {parent !== undefined && <Parent run_id={parent} />}
      {children.length > 0 && (
        <FoldedSection title="Children" count={children.length}>
          <ul className="side-list">
            {children.map((child) => (
              <RunLink key={child.info.run_id} run={child} />
            ))}
          </ul>
          <Link
            to="/compare"
            search={{ runs: children.map(({ info }) => info.run_id).join(',') }}
            className="button small"
          >
            Compare the children
          </Link>
        </FoldedSection>
      )}
    </>
  )
}

function Parent({ run_id }: { run_id: string }) {
  const { data } = useQuery(query(client.runs.get, { run_id }))
  if (data === undefined) return null
  return (
    <FoldedSection title="Parent">
      <ul className="side-list">
        <RunLink run={data.run} />
      </ul>
    </FoldedSection>
  )
}

function RunLink({ run: { info } }: { run: Run }) {
  return (
    <li>
      <RunState status={info.status} />
      <Link
        className="truncate"
        to="/experiments/$experimentId/runs/$runId"
        params={{ experimentId: info.experiment_id, runId: info.run_id }}
      >
        {info.run_name}
      </Link>
    </li>
  )
}
