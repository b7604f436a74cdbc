import { Link, useLocation } from '@tanstack/react-router'
import { Page } from './Page.tsx'

/** For addresses that lead nowhere. */
export function NotFound() {
  const { pathname } = useLocation()
  return (
    <Page title="Page not found">
      <main className="page-message">
        <h2>No such page</h2>
        <p>
          No page has the address <code>{pathname}</code>.
        </p>
        <p className="muted">Links of MLflow’s own pages work here too; this one is neither.</p>
        <Link to="/experiments" className="button primary">
          All experiments
        </Link>
      </main>
    </Page>
  )
}
