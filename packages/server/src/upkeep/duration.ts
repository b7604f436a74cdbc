import { invalid } from '@millrace/api/errors'

const MS = { days: 86_400_000, hours: 3_600_000, minutes: 60_000, seconds: 1000 }

/**
 * Milliseconds of an age such as `30d` or `1.5d2h3m4s`, as `mlflow gc --older-than` reads it.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE in MLflow's words
 */
export function parseDuration(text: string): number {
  const groups =
    /^(?:(?<days>[.\d]+?)d)?(?:(?<hours>[.\d]+?)h)?(?:(?<minutes>[.\d]+?)m)?(?:(?<seconds>[.\d]+?)s)?$/.exec(
      text,
    )?.groups
  const parts = Object.entries(groups ?? {}).filter(([, part]) => part !== undefined)
  const ms = parts.reduce(
    (sum, [unit, part]) => sum + Number(part) * MS[unit as keyof typeof MS],
    0,
  )
  if (parts.length === 0 || Number.isNaN(ms)) {
    throw invalid(
      `Could not parse any time information from '${text}'. Examples of valid strings: '8h', '2d8h5m20s', '2m4s'`,
    )
  }
  return Math.trunc(ms)
}
