import type { ReactNode } from 'react'
import './folded-section.css'

interface FoldedSectionProps {
  title: string
  count?: number
  actions?: ReactNode
  children: ReactNode
}

/** A part of a side panel, which can be folded away. */
export function FoldedSection({ title, count, actions, children }: FoldedSectionProps) {
  return (
    <details className="folded" open>
      <summary>
        <h2>{title}</h2>
        {count !== undefined && <span className="muted number">{count}</span>}
        {actions !== undefined && <span className="folded-actions">{actions}</span>}
      </summary>
      {children}
    </details>
  )
}
