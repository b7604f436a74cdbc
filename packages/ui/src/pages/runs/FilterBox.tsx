import { ApiError } from '@millrace/api/errors'
import { ListFilter } from 'lucide-react'
import { useState } from 'react'
import { readFilterError, wordAt } from '../../filter-error.ts'
import { queryClient } from '../../query.ts'
import { type RunsQuestion, runsQuery } from './runs-query.ts'

interface FilterBoxProps {
  experimentId: string
  question: RunsQuestion
  /** A refusal of the filter that the page was opened with. */
  refusal: Error | null
  onFilter: (filter: string | undefined) => void
}

const PAUSE_MS = 300

/**
 * The filter. What is typed is asked for after a pause and shown once the server takes it; while it
 * does not, the runs on screen stay, and Enter says why.
 */
export function FilterBox({ experimentId, question, refusal, onFilter }: FilterBoxProps) {
  const [text, setText] = useState(question.filter ?? '')
  const [refused, setRefused] = useState<{ filter: string; message: string } | undefined>(
    refusal instanceof ApiError
      ? { filter: question.filter ?? '', message: refusal.message }
      : undefined,
  )
  const [timer, setTimer] = useState<ReturnType<typeof setTimeout>>()

  const apply = async (filter: string, { isFinal }: { isFinal: boolean }) => {
    try {
      await queryClient.fetchInfiniteQuery(runsQuery(experimentId, { ...question, filter }))
      setRefused(undefined)
      onFilter(filter.trim() || undefined)
    } catch (error) {
      if (isFinal && error instanceof ApiError) setRefused({ filter, message: error.message })
    }
  }
  const change = (typed: string) => {
    setText(typed)
    setRefused(undefined)
    clearTimeout(timer)
    setTimer(setTimeout(() => apply(typed, { isFinal: false }), PAUSE_MS))
  }
  return (
    <form
      className="filter"
      role="search"
      onSubmit={(event) => {
        event.preventDefault()
        clearTimeout(timer)
        void apply(text, { isFinal: true })
      }}
    >
      <div className="search-box">
        <ListFilter className="icon" aria-hidden />
        <input
          className="input"
          aria-label="Filter runs"
          aria-invalid={refused !== undefined}
          aria-errormessage="filter-refusal"
          placeholder="name, or metrics.loss < 0.1 and params.model = 'cnn'"
          spellCheck={false}
          autoComplete="off"
          value={text}
          onChange={(event) => change(event.target.value)}
        />
      </div>
      {refused && <Refusal {...refused} />}
    </form>
  )
}

function Refusal({ filter, message }: { filter: string; message: string }) {
  const { message: what, position } = readFilterError(message)
  return (
    <div role="alert" id="filter-refusal" className="filter-error">
      {position !== undefined && <MarkedFilter filter={filter} position={position} />}
      {what}
    </div>
  )
}

function MarkedFilter({ filter, position }: { filter: string; position: number }) {
  const { start, end } = wordAt(filter, position)
  return (
    <code>
      {filter.slice(0, start)}
      <mark>{filter.slice(start, end) || ' '}</mark>
      {filter.slice(end)}
    </code>
  )
}
