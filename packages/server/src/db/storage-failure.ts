/** What SQLite's primary result codes mean to whoever runs the server. */
const FAILURES = new Map([
  [3, 'this user may not open it'],
  [5, 'it is locked by another process'],
  [8, 'it is read-only'],
  [10, 'reading or writing failed'],
  [11, 'it is damaged'],
  [13, 'the disk is full'],
  [14, 'it cannot be opened'],
  [26, 'it is not a SQLite database'],
])

/** Why the storage itself failed, or undefined when an error is about something else. */
export function describeStorageFailure(error: unknown): string | undefined {
  if (!(error instanceof Error && 'errcode' in error)) return undefined
  return FAILURES.get(Number(error.errcode) & 0xff)
}
