const LENGTH_MAX = 63

/** A name for a job like another one: `train` becomes `train-2`, `train-2` becomes `train-3`. */
export function nextName(name: string): string {
  // Longer numbers are dates and ids, which mean something.
  const [, stem, number] = /^(.+)-(\d{1,2})$/.exec(name) ?? []
  const suffix = `-${number === undefined ? 2 : Number(number) + 1}`
  return (stem ?? name).slice(0, LENGTH_MAX - suffix.length).replace(/-+$/, '') + suffix
}
