/** A text as the search language takes it, quotes in it included. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
