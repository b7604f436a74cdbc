import type { Int64 } from '@millrace/api/wire'

const SMALLEST_PLAIN = 1e-4
const LARGEST_PLAIN = 1e7

/** One number for people, with about four significant digits: 0.9712, 12.4k stays 12,400, 3.0e-5. */
export function formatNumber(value: number): string {
  if (isSpecial(value)) return specialName(value)
  const size = Math.abs(value)
  if (size !== 0 && (size < SMALLEST_PLAIN || size >= LARGEST_PLAIN)) return scientific(value, 4)
  if (Number.isInteger(value)) return grouped(value, 0)
  const digits = Math.max(0, 4 - Math.max(1, Math.floor(Math.log10(size)) + 1))
  return grouped(value, size < 1 ? leadingZeros(size) + 4 : digits)
}

/** A formatter for a column: the same decimals for all, as many as tell its values apart. */
export function columnFormat(values: readonly number[]): (value: number) => string {
  const finite = typicalOf(values)
  const largest = Math.max(0, ...finite.map(Math.abs))
  const nonZero = finite.map(Math.abs).filter((value) => value > 0)
  const smallest = nonZero.length === 0 ? 0 : Math.min(...nonZero)
  if (finite.every(Number.isInteger) && largest < LARGEST_PLAIN) return plain(0)
  if (largest >= LARGEST_PLAIN || (largest > 0 && largest < SMALLEST_PLAIN)) return exponent(4)
  if (smallest > 0 && largest / smallest > 1e5) return formatNumber
  const spread = Math.max(...finite) - Math.min(...finite)
  const scale = spread > 0 ? spread : largest
  const decimals = Math.ceil(-Math.log10(scale)) + (spread > 0 ? 2 : 3)
  return plain(Math.min(6, Math.max(largest < 100 ? 2 : 0, decimals)))
}

/** The finite values in order, without the outer tenths: one run that diverged decides nothing. */
export function typicalOf(values: readonly number[]): number[] {
  const sorted = values.filter((value) => !isSpecial(value)).sort((a, b) => a - b)
  const cut = Math.floor(sorted.length / 10)
  return sorted.slice(cut, sorted.length - cut)
}

function plain(decimals: number) {
  return (value: number) => (isSpecial(value) ? specialName(value) : grouped(value, decimals))
}

function exponent(digits: number) {
  return (value: number) => (isSpecial(value) ? specialName(value) : scientific(value, digits))
}

/** A short number for an axis: 1.2k, 3e-4, 0.25. */
export function formatAxis(value: number): string {
  const size = Math.abs(value)
  if (size === 0) return '0'
  if (size < 1e-3 || size >= 1e15)
    return value.toExponential(1).replace('.0e', 'e').replace('e+', 'e')
  for (const [unit, name] of AXIS_UNITS) {
    if (size >= unit) return `${trimmed(value / unit)}${name}`
  }
  return trimmed(value)
}

const AXIS_UNITS = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const

function trimmed(value: number): string {
  return String(Number(value.toPrecision(4)))
}

function grouped(value: number, decimals: number): string {
  let formatter = formatters.get(decimals)
  if (!formatter) {
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals }
    formatter = new Intl.NumberFormat('en-US', digits)
    formatters.set(decimals, formatter)
  }
  return formatter.format(value)
}

// Making a formatter costs a hundred times what using one does, and a table has a thousand numbers.
const formatters = new Map<number, Intl.NumberFormat>()
const days = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' })
const moments = new Intl.DateTimeFormat('en-GB', { dateStyle: 'short', timeStyle: 'medium' })

function scientific(value: number, digits: number): string {
  return value.toExponential(digits - 1).replace('e+', 'e')
}

function leadingZeros(size: number): number {
  return size === 0 ? 0 : Math.max(0, -Math.floor(Math.log10(size)) - 1)
}

// MLflow stores the infinities as the largest doubles.
function isSpecial(value: number): boolean {
  return Number.isNaN(value) || Math.abs(value) >= Number.MAX_VALUE
}

function specialName(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  return value > 0 ? '∞' : '−∞'
}

/** 950 ms, 8.2 s, 3 min 20 s, 2 h 5 min, 4 d 3 h. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return withRest(minutes, 'min', Math.round(seconds % 60), 's')
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return withRest(hours, 'h', minutes % 60, 'min')
  return withRest(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

function withRest(whole: number, unit: string, rest: number, restUnit: string): string {
  return rest === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${rest} ${restUnit}`
}

/** How long ago: 'just now', '5 min ago', '3 h ago', '2 d ago', or the date. */
export function formatAgo(then: number, now: number): string {
  const seconds = Math.round((now - then) / 1000)
  if (seconds < 45) return seconds < -60 ? formatDate(then) : 'just now'
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes} min ago`
  const hours = Math.round(minutes / 60)
  if (hours < 36) return `${hours} h ago`
  const days = Math.round(hours / 24)
  return days < 31 ? `${days} d ago` : formatDate(then)
}

/** The day: 14 May 2025. */
export function formatDate(time: number): string {
  return days.format(time)
}

/** Local time to the second, and UTC beside it. */
export function formatExactTime(time: number): string {
  return `${moments.format(time)} (${new Date(time).toISOString().slice(0, 19)}Z)`
}

/** 0 B, 4.2 kB, 1.3 GB. */
export function formatBytes(size: Int64): string {
  const bytes = Number(size)
  if (bytes < 1000) return `${bytes} B`
  const units = ['kB', 'MB', 'GB', 'TB']
  const power = Math.min(units.length, Math.floor(Math.log10(bytes) / 3))
  const shown = bytes / 1000 ** power
  return `${shown < 10 ? shown.toFixed(1) : Math.round(shown)} ${units[power - 1]}`
}
