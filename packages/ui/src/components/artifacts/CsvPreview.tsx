import { parseCsv } from '../../csv-table.ts'
import { numberIn } from '../../run-values.ts'

const ROWS = 500
const COLUMNS = 100

export function CsvPreview({ text, separator }: { text: string; separator: ',' | '\t' }) {
  const { header, rows } = parseCsv(text, separator)
  const columns = header.slice(0, COLUMNS)
  const numeric = columns.map((_, index) =>
    rows.slice(0, 50).every((row) => row[index] === '' || numberIn(row[index] ?? '') !== undefined),
  )
  const className = (index: number) => (numeric[index] ? 'number' : undefined)
  return (
    <>
      <p className="muted artifact-note">
        {rows.length > ROWS
          ? `The first ${ROWS} of ${rows.length.toLocaleString('en-US')} rows`
          : `${rows.length} rows`}
        , {header.length} columns
      </p>
      <table className="csv-table">
        <thead>
          <tr>
            {columns.map((name, index) => (
              <th key={index} className={className(index)}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, ROWS).map((row, at) => (
            <tr key={at}>
              {columns.map((_, index) => (
                <td key={index} className={className(index)}>
                  {row[index]}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}
