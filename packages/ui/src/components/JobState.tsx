import { Ban, Check, CircleDashed, X } from 'lucide-react'
import './run-state.css'

/** How a job or an endpoint stands, in the words of AWS, drawn like the states of runs. */
const LOOKS = {
  Completed: { look: 'FINISHED', icon: Check },
  InService: { look: 'FINISHED', icon: Check },
  Failed: { look: 'FAILED', icon: X },
  UpdateRollbackFailed: { look: 'FAILED', icon: X },
  Stopped: { look: 'KILLED', icon: Ban },
  OutOfService: { look: 'SCHEDULED', icon: CircleDashed },
} as const

const NAMES: Record<string, string> = {
  InProgress: 'Running',
  InService: 'In service',
  OutOfService: 'Out of service',
  RollingBack: 'Rolling back',
  SystemUpdating: 'Updating',
  UpdateRollbackFailed: 'Rollback failed',
}

/** A state with its sign; `name` stands for the state where there is a better word for it. */
export function JobState({ status, name }: { status: string; name?: string | undefined }) {
  const { look, icon: Icon } = Object.hasOwn(LOOKS, status)
    ? LOOKS[status as keyof typeof LOOKS]
    : { look: 'RUNNING', icon: undefined }
  return (
    <span className="run-state" data-status={look}>
      {Icon ? <Icon className="icon" aria-hidden /> : <span className="pulse" aria-hidden />}
      {name ?? NAMES[status] ?? status}
    </span>
  )
}

/** Whether something is still going to change by itself. */
export function isUnderWay(status: string): boolean {
  return !Object.hasOwn(LOOKS, status)
}
