/**
 * The search part of our URLs: plain `name=value` pairs, lists by repeating the name, so that links
 * can be read and written by hand.
 */
export function parseUrlSearch(text: string): Record<string, string | string[]> {
  const search: Record<string, string | string[]> = {}
  for (const [name, value] of new URLSearchParams(text)) {
    const known = search[name]
    if (known === undefined) search[name] = value
    else search[name] = Array.isArray(known) ? [...known, value] : [known, value]
  }
  return search
}

export function stringifyUrlSearch(search: Record<string, unknown>): string {
  const pairs = new URLSearchParams()
  for (const [name, value] of Object.entries(search)) {
    const values = Array.isArray(value) ? value : [value]
    for (const one of values) if (one !== undefined) pairs.append(name, String(one))
  }
  const text = pairs.toString()
  return text === '' ? '' : `?${text}`
}

/** Text of a search parameter; undefined when absent or empty. */
export function textParam(value: unknown): string | undefined {
  const first = Array.isArray(value) ? value[0] : value
  return first === undefined || first === '' ? undefined : String(first)
}

/** One of the allowed words; undefined when it is none of them. */
export function choiceParam<const Choice extends string>(
  value: unknown,
  choices: readonly Choice[],
): Choice | undefined {
  return choices.find((choice) => choice === value)
}

/** A list, from repeated names or from one comma-separated text of ids. */
export function idsParam(value: unknown): string[] | undefined {
  const texts = (Array.isArray(value) ? value : [value]).filter((one) => one !== undefined)
  const ids = texts.flatMap((text) => String(text).split(',')).filter((id) => id !== '')
  return ids.length === 0 ? undefined : [...new Set(ids)]
}

export function listParam(value: unknown): string[] | undefined {
  if (value === undefined) return undefined
  const texts = (Array.isArray(value) ? value : [value]).map(String).filter((text) => text !== '')
  return texts.length === 0 ? undefined : texts
}

export function numberParam(
  value: unknown,
  { min, max }: { min: number; max: number },
): number | undefined {
  const number = typeof value === 'string' || typeof value === 'number' ? Number(value) : Number.NaN
  return Number.isFinite(number) && number >= min && number <= max ? number : undefined
}

/** Drops what is undefined, so that two equal states are the same URL. */
export function compact<T extends object>(state: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(state).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
