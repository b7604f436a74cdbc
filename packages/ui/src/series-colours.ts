export interface SeriesStyle {
  /** A CSS colour of the current theme. */
  colour: string
  /** 0 for a solid line, then ever shorter dashes, for runs that share a colour. */
  dash: number
}

const COLOURS = 12

/** Which colours were given to runs since the page was loaded, from 0. */
const given = new Map<string, number>()

/** A run's colour: the one it was drawn in before, else a property of its id. */
export function colourOf(run_id: string): string {
  return `var(--series-${indexOf(run_id) + 1})`
}

function indexOf(run_id: string): number {
  return given.get(run_id) ?? hashOf(run_id) % COLOURS
}

/**
 * Colours for runs shown together. A run that is drawn for the first time takes the colour of its
 * id, or the next one that nobody here has, and keeps it; where colours run out, dashes differ.
 */
export function styleSeries(runIds: readonly string[]): Map<string, SeriesStyle> {
  const uses = new Map<number, number>()
  const styles = new Map<string, SeriesStyle>()
  const known = runIds.filter((run_id) => given.has(run_id))
  for (const run_id of [...known, ...runIds.filter((id) => !given.has(id))]) {
    const index = given.get(run_id) ?? freeColour(hashOf(run_id) % COLOURS, uses)
    given.set(run_id, index)
    const dash = uses.get(index) ?? 0
    uses.set(index, dash + 1)
    styles.set(run_id, { colour: colourOf(run_id), dash })
  }
  return styles
}

/** The wished colour, or the next one that is used least. */
function freeColour(wish: number, uses: ReadonlyMap<number, number>): number {
  const fewest = uses.size < COLOURS ? 0 : Math.min(...uses.values())
  for (let step = 0; step < COLOURS; step++) {
    const index = (wish + step) % COLOURS
    if ((uses.get(index) ?? 0) === fewest) return index
  }
  return wish
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}
