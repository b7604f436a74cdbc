interface SplitHandleProps {
  /** The share of the table, in percent. */
  share: number
  onChange: (share: number) => void
}

const STEP = 4
const clamp = (share: number) => Math.min(80, Math.max(25, share))

/** The divider between table and charts: drag it, or use the arrow keys. */
export function SplitHandle({ share, onChange }: SplitHandleProps) {
  return (
    <button
      type="button"
      role="separator"
      className="split-handle"
      aria-label="Width of the table"
      aria-orientation="vertical"
      aria-valuenow={Math.round(share)}
      onKeyDown={({ key }) => {
        if (key === 'ArrowLeft') onChange(clamp(share - STEP))
        if (key === 'ArrowRight') onChange(clamp(share + STEP))
      }}
      onPointerDown={({ currentTarget, pointerId }) => currentTarget.setPointerCapture(pointerId)}
      onPointerMove={({ currentTarget, pointerId, clientX }) => {
        if (!currentTarget.hasPointerCapture(pointerId)) return
        const box = currentTarget.parentElement?.getBoundingClientRect()
        if (box) onChange(clamp(((clientX - box.left) / box.width) * 100))
      }}
    />
  )
}
