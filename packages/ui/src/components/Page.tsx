import { useQuery } from '@tanstack/react-query'
import { CloudOff } from 'lucide-react'
import type { ReactNode } from 'react'
import { heartbeatQuery } from '../query.ts'
import { Time } from '../ui/Time.tsx'

interface PageProps {
  /** Links to the places above, outermost first. */
  above?: ReactNode[]
  title: ReactNode
  actions?: ReactNode
  children: ReactNode
}

/** A page beside the rail: the breadcrumb that is its title, its actions and what it shows. */
export function Page({ above = [], title, actions, children }: PageProps) {
  return (
    <div className="page">
      <header className="top-bar">
        <nav aria-label="Breadcrumb" className="crumbs">
          <ol className="crumbs">
            {above.map((link, index) => (
              <li key={index} className="truncate">
                {link}
              </li>
            ))}
            <li>
              <h1 className="truncate">{title}</h1>
            </li>
          </ol>
        </nav>
        <div className="top-actions">{actions}</div>
      </header>
      <OfflineNotice />
      {children}
    </div>
  )
}

function OfflineNotice() {
  const { isError, dataUpdatedAt } = useQuery(heartbeatQuery)
  if (!isError) return null
  return (
    <p role="alert" className="notice">
      <CloudOff className="icon" aria-hidden />
      <span>
        The server does not answer. This is what was here <Time at={dataUpdatedAt} />; the page
        continues by itself as soon as the server is back.
      </span>
    </p>
  )
}
