import { ApiError } from '@millrace/api/errors'
import { useQuery } from '@tanstack/react-query'
import { type ErrorComponentProps, Link, useRouter } from '@tanstack/react-router'
import { useEffect } from 'react'
import { heartbeatQuery, queryClient } from '../query.ts'
import { Page } from './Page.tsx'

/** A page that cannot be shown: what happened and what to do. Tries again when the server is back. */
export function PageError({ error: thrown, reset }: ErrorComponentProps) {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const router = useRouter()
  const isUnreachable = !(error instanceof ApiError)
  const { isSuccess, isError, dataUpdatedAt, errorUpdatedAt } = useQuery(heartbeatQuery)
  const tryAgain = () => {
    void queryClient.resetQueries()
    reset()
    void router.invalidate()
  }
  const isBack = isUnreachable && isSuccess && errorUpdatedAt > 0 && dataUpdatedAt > errorUpdatedAt
  useEffect(() => {
    if (isBack) tryAgain()
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- Once for each recovery.
  }, [isBack])
  return (
    <Page title={titleOf(error)}>
      <main className="page-message">
        <h2>{titleOf(error)}</h2>
        <p role="alert">
          {isUnreachable && isError ? 'The server does not answer.' : error.message}
        </p>
        <p className="muted">{adviceOf(error)}</p>
        <button type="button" className="button primary" onClick={tryAgain}>
          Try again
        </button>
        <Link to="/experiments" className="button">
          All experiments
        </Link>
      </main>
    </Page>
  )
}

function titleOf(error: Error): string {
  if (!(error instanceof ApiError)) return 'This page could not be loaded'
  if (error.code === 'RESOURCE_DOES_NOT_EXIST') return 'There is no such thing here'
  return error.code === 'PERMISSION_DENIED' ? 'You may not see this' : 'The server refused this'
}

function adviceOf(error: Error): string {
  if (!(error instanceof ApiError)) {
    return 'Nothing was changed. The page tries again when the server answers.'
  }
  if (error.code === 'RESOURCE_DOES_NOT_EXIST') {
    return 'The id in the address may be mistyped, or what it named was deleted for good.'
  }
  if (error.code === 'PERMISSION_DENIED') return 'Whoever manages it can grant you access.'
  return 'Nothing was changed. Check the address, or go back to where you came from.'
}
