import type { RunStatus } from '@millrace/api/runs'
import { Ban, Check, CircleDashed, X } from 'lucide-react'
import './run-state.css'

const STATES = {
  RUNNING: { name: 'Running', icon: undefined },
  SCHEDULED: { name: 'Scheduled', icon: CircleDashed },
  FINISHED: { name: 'Finished', icon: Check },
  FAILED: { name: 'Failed', icon: X },
  KILLED: { name: 'Killed', icon: Ban },
} as const satisfies Record<RunStatus, unknown>

/** How a run stands: a sign with a name, and the name in words where there is room. */
export function RunState({ status, withName }: { status: RunStatus; withName?: boolean }) {
  const { name, icon: Icon } = STATES[status]
  return (
    <span className="run-state" data-status={status} title={name}>
      {Icon ? <Icon className="icon" aria-hidden /> : <span className="pulse" aria-hidden />}
      <span className={withName ? undefined : 'visually-hidden'}>{name}</span>
    </span>
  )
}
