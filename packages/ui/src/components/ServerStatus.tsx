import { useQuery } from '@tanstack/react-query'
import { heartbeatQuery } from '../query.ts'

/** A dot that says whether the server answers, and the version that it serves. */
export function ServerStatus() {
  const { data: version, isError } = useQuery(heartbeatQuery)
  const state = isError ? 'Offline' : 'Live'
  return (
    <div className="rail-status" role="status" title={`${state}: MLflow API ${version ?? ''}`}>
      <span className="live-dot" data-state={isError ? 'offline' : 'live'} />
      <span className="rail-text">
        {state}
        {version !== undefined && ` · API ${version}`}
      </span>
    </div>
  )
}
