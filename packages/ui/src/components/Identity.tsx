import type { ReactNode } from 'react'
import './identity.css'

/** What a thing is, in one line of facts. */
export function Identity({ children }: { children: ReactNode }) {
  return <dl className="identity">{children}</dl>
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}
