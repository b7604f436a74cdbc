import type { Run } from '@millrace/api/runs'
import { Link } from '@tanstack/react-router'
import { hasPlane } from '../../base-path.ts'
import { Fact, Identity } from '../../components/Identity.tsx'
import { RunState } from '../../components/RunState.tsx'
import { formatDuration } from '../../format.ts'
import { durationOf, valuesOf } from '../../run-values.ts'
import { CopyButton } from '../../ui/CopyButton.tsx'
import { Time } from '../../ui/Time.tsx'
import { useNow } from '../../ui/use-now.ts'

/** Who, where from and how long, in one line; what is not known is not mentioned. */
export function RunIdentity({ run }: { run: Run }) {
  const { info } = run
  const { tags } = valuesOf(run)
  const duration = durationOf(run, useNow())
  const source = tags.get('mlflow.source.name')
  const job = tags.get('sagemaker.training_job_name')
  const tuning = tags.get('sagemaker.tuning_job_name')
  const commit = tags.get('mlflow.source.git.commit')
  return (
    <Identity>
      <Fact name="State">
        <RunState status={info.status} withName />
        {info.lifecycle_stage === 'deleted' && <span className="chip">deleted</span>}
      </Fact>
      <Fact name="Started">
        <Time at={info.start_time} />
      </Fact>
      {duration !== undefined && (
        <Fact name={info.status === 'RUNNING' ? 'For' : 'Took'}>{formatDuration(duration)}</Fact>
      )}
      {info.user_id !== '' && <Fact name="By">{info.user_id}</Fact>}
      {source !== undefined && (
        <Fact name="From">
          <span className="truncate" title={source}>
            {source.split('/').at(-1)}
          </span>
        </Fact>
      )}
      {commit !== undefined && (
        <Fact name="Commit">
          <code>{commit.slice(0, 8)}</code>
          <CopyButton text={commit} label="Copy commit" />
        </Fact>
      )}
      {hasPlane && job !== undefined && (
        <Fact name="Job">
          <Link to="/jobs/training/$name" params={{ name: job }}>
            {job}
          </Link>
        </Fact>
      )}
      {hasPlane && tuning !== undefined && (
        <Fact name="Tuning">
          <Link to="/jobs/tuning/$name" params={{ name: tuning }}>
            {tuning}
          </Link>
        </Fact>
      )}
      <Fact name="Id">
        <code className="truncate">{info.run_id}</code>
        <CopyButton text={info.run_id} label="Copy run id" />
      </Fact>
    </Identity>
  )
}
