import { TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import './failure-card.css'

interface FailureCardProps {
  title: string
  reason: string
  advice: string
  /** What can be done about it at once. */
  children?: ReactNode
}

/** What went wrong and what to do about it. */
export function FailureCard({ title, reason, advice, children }: FailureCardProps) {
  return (
    <section className="failure" aria-label={title}>
      <TriangleAlert className="icon" aria-hidden />
      <div>
        <h2>{title}</h2>
        <pre className="failure-reason">{reason}</pre>
        <p>{advice}</p>
        {children}
      </div>
    </section>
  )
}
