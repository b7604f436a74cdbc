/** The colour that a CSS value such as `var(--line)` means here and in the theme on screen. */
export function resolveColour(colour: string, place: HTMLElement): string {
  const probe = document.createElement('span')
  probe.style.color = colour
  place.append(probe)
  const resolved = getComputedStyle(probe).color
  probe.remove()
  return resolved
}
