import { Link, Outlet } from '@tanstack/react-router'
import { Boxes, FlaskConical, ListChecks, Monitor, Moon, PanelLeft, Radio, Sun } from 'lucide-react'
import { basePath, hasPlane } from '../base-path.ts'
import { useStoredState } from '../ui/use-stored-state.ts'
import { ServerStatus } from './ServerStatus.tsx'
import { chooseTheme, type Theme, useChosenTheme } from './theme.ts'
import './frame.css'

const PLACES = [
  { to: '/experiments', name: 'Experiments', icon: FlaskConical },
  { to: '/models', name: 'Models', icon: Boxes },
  { to: '/jobs', name: 'Jobs', icon: ListChecks, isOfPlane: true },
  { to: '/endpoints', name: 'Endpoints', icon: Radio, isOfPlane: true },
] as const

/** The rail beside every page. */
export function Frame() {
  const [rail, setRail] = useStoredState('rail', 'open')
  return (
    <div className="frame" data-rail={rail}>
      <nav className="rail" aria-label="Main">
        <Link to="/experiments" className="rail-mark" aria-label="Millrace, all experiments">
          <img src={`${basePath}/assets/mark-1.svg`} alt="" />
          <span className="rail-text">Millrace</span>
        </Link>
        {PLACES.filter((place) => hasPlane || !('isOfPlane' in place)).map(
          ({ to, name, icon: Icon }) => (
            <Link key={to} to={to} className="rail-link" title={name}>
              <Icon className="icon" aria-hidden />
              <span className="rail-text">{name}</span>
            </Link>
          ),
        )}
        <div className="rail-foot">
          <ThemeButton />
          <button
            type="button"
            className="rail-link"
            aria-expanded={rail === 'open'}
            title={rail === 'open' ? 'Collapse the rail' : 'Widen the rail'}
            onClick={() => setRail(rail === 'open' ? 'collapsed' : 'open')}
          >
            <PanelLeft className="icon" aria-hidden />
            <span className="rail-text">Collapse</span>
          </button>
          <ServerStatus />
        </div>
      </nav>
      <Outlet />
    </div>
  )
}

const THEMES = {
  system: { next: 'light', name: 'Theme: as the system', icon: Monitor },
  light: { next: 'dark', name: 'Theme: light', icon: Sun },
  dark: { next: 'system', name: 'Theme: dark', icon: Moon },
} as const satisfies Record<Theme, unknown>

function ThemeButton() {
  const { next, name, icon: Icon } = THEMES[useChosenTheme()]
  return (
    <button type="button" className="rail-link" title={name} onClick={() => chooseTheme(next)}>
      <Icon className="icon" aria-hidden />
      <span className="rail-text">{name}</span>
    </button>
  )
}
