export interface SeriesStyle {
  /** A CSS colour of the current theme. */
  colour: string
  /** 0 for a solid line, then ever shorter dashes, for runs that share a colour. */
  dash: number
}

const COLOURS = 12

/** A run's colour is a property of its id, so it is the same on every page. */
export function colourOf(run_id: string): string {
  return `var(--series-${(hashOf(run_id) % COLOURS) + 1})`
}

/** Colours for runs shown together; those that share one differ by their dashes. */
export function styleSeries(runIds: readonly string[]): Map<string, SeriesStyle> {
  const uses = new Map<string, number>()
  const styles = new Map<string, SeriesStyle>()
  for (const run_id of runIds) {
    const colour = colourOf(run_id)
    const dash = uses.get(colour) ?? 0
    uses.set(colour, dash + 1)
    styles.set(run_id, { colour, dash })
  }
  return styles
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}
