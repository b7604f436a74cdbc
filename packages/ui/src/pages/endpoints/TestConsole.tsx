import type { EndpointDetails, InvokeAnswer, InvokeRequest } from '@millrace/api/sagemaker-pages'
import { Play } from 'lucide-react'
import { useState } from 'react'
import { formatDuration } from '../../format.ts'
import { askPlane, planePath, useAction } from '../../query.ts'
import { emptyRow, rowsOfBody, splitBody } from './example-body.ts'
import { InputRows } from './InputRows.tsx'
import { useModelExample } from './use-model-example.ts'

const JSON_TYPE = 'application/json'
const CONTENT_TYPES = [JSON_TYPE, 'text/csv', 'application/jsonlines', 'text/plain']
const EXAMPLE = '{"inputs": [[1, 2, 3, 4]]}'

/**
 * Sends what one types to an endpoint and shows what it answers. It begins with the example or the
 * columns of the registered version that is asked.
 */
export function TestConsole({
  endpoint: { name, variants, status },
}: {
  endpoint: EndpointDetails
}) {
  const [contentType, setContentType] = useState(JSON_TYPE)
  const [typed, setTyped] = useState<{ body?: string; rows?: string[][] }>({})
  const [variant, setVariant] = useState('')
  const send = useAction((request: InvokeRequest) =>
    askPlane<InvokeAnswer>(planePath`/endpoints/${name}/invoke`, { body: request }),
  )
  const serving = variants.filter(({ isNext }) => !isNext)
  const asked = serving.find((one) => one.name === variant) ?? serving[0]
  const example = useModelExample(asked?.version)
  const columns = example?.columns ?? []
  const saved = example?.body
  const rows = typed.rows ??
    (saved === undefined ? undefined : rowsOfBody(columns, saved)) ?? [emptyRow(columns)]
  const isMade = columns.length > 0 && (typed.rows !== undefined || saved === undefined)
  const body = typed.body ?? (isMade ? splitBody(columns, rows) : saved) ?? EXAMPLE
  const canServe = serving.length > 0 && status !== 'Deleting'
  return (
    <section className="console" aria-label="Test console">
      <h2>Test it</h2>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          send.mutate({ body, contentType, ...(variant !== '' && { variant }) })
        }}
      >
        {columns.length > 0 && (
          <InputRows
            columns={columns}
            rows={rows}
            onChange={(changed) => {
              setTyped({ rows: changed })
              setContentType(JSON_TYPE)
            }}
          />
        )}
        <textarea
          className="input mono"
          aria-label="Body"
          rows={8}
          spellCheck={false}
          value={body}
          onChange={(event) => setTyped({ ...typed, body: event.target.value })}
        />
        <div className="console-tools">
          <select
            className="input"
            aria-label="Content type"
            value={contentType}
            onChange={(event) => setContentType(event.target.value)}
          >
            {CONTENT_TYPES.map((type) => (
              <option key={type}>{type}</option>
            ))}
          </select>
          {serving.length > 1 && (
            <select
              className="input"
              aria-label="Variant"
              value={variant}
              onChange={(event) => setVariant(event.target.value)}
            >
              <option value="">By weight</option>
              {serving.map((one) => (
                <option key={one.name}>{one.name}</option>
              ))}
            </select>
          )}
          <button type="submit" className="button primary" disabled={!canServe || send.isPending}>
            <Play className="icon" aria-hidden />
            Send
          </button>
        </div>
      </form>
      {send.error && (
        <p role="alert" className="field-error">
          {send.error.message}
        </p>
      )}
      {send.data && <Answer answer={send.data} />}
    </section>
  )
}

function Answer({ answer }: { answer: InvokeAnswer }) {
  const { status, tookMs, variant, contentType, body } = answer
  const isGood = status >= 200 && status < 300
  return (
    <div className="console-answer" role="status" data-good={isGood}>
      <p>
        <b>{isGood ? 'Answered' : `Refused with ${status}`}</b>
        <span className="muted">
          {' '}
          in {formatDuration(tookMs)}
          {variant !== undefined && ` by ${variant}`}, {contentType}
        </span>
      </p>
      <pre>{shown(body)}</pre>
    </div>
  )
}

function shown(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2)
  } catch {
    return body
  }
}
