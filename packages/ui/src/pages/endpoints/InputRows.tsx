import { Plus } from 'lucide-react'
import { emptyRow, type InputColumn } from './example-body.ts'

interface InputRowsProps {
  columns: readonly InputColumn[]
  rows: readonly (readonly string[])[]
  onChange: (rows: string[][]) => void
}

/** A table with a column for each of the model's, to type a request in. */
export function InputRows({ columns, rows, onChange }: InputRowsProps) {
  const change = (at: number, column: number, text: string) =>
    onChange(
      rows.map((row, index) => (index === at ? row.toSpliced(column, 1, text) : row.slice())),
    )
  return (
    <div className="input-rows">
      <table aria-label="Input">
        <thead>
          <tr>
            {columns.map(({ name, type, isRequired }) => (
              <th key={name}>
                {name}{' '}
                <span className="muted">
                  {type}
                  {!isRequired && ', optional'}
                </span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={at}>
              {columns.map(({ name }, column) => (
                <td key={name}>
                  <input
                    className="input"
                    aria-label={`${name} of row ${at + 1}`}
                    autoComplete="off"
                    value={row[column] ?? ''}
                    onChange={(event) => change(at, column, event.target.value)}
                  />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <button
        type="button"
        className="button quiet small"
        onClick={() => onChange([...rows.map((row) => row.slice()), emptyRow(columns)])}
      >
        <Plus className="icon" aria-hidden />
        Add a row
      </button>
    </div>
  )
}
