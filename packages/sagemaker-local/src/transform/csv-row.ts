/** The fields of one line of CSV; quotes may hold commas and doubled quotes. */
export function parseRow(line: string): string[] {
  const fields: string[] = []
  let field = ''
  let isQuoted = false
  for (let at = 0; at < line.length; at += 1) {
    const letter = line[at]
    if (isQuoted) {
      if (letter !== '"') field += letter
      else if (line[at + 1] === '"') {
        field += '"'
        at += 1
      } else isQuoted = false
    } else if (letter === '"' && field === '') isQuoted = true
    else if (letter === ',') {
      fields.push(field)
      field = ''
    } else field += letter
  }
  return [...fields, field]
}

/** One line of CSV, without its end. */
export function formatRow(fields: string[]): string {
  return fields
    .map((field) => (/[",\n\r]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field))
    .join(',')
}
