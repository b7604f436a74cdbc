import { Menu } from '@base-ui/react/menu'
import type { LucideIcon } from 'lucide-react'
import { Ellipsis } from 'lucide-react'

export interface MenuAction {
  label: string
  icon: LucideIcon
  isDanger?: boolean
  run: () => void
}

/** What can be done with a thing, behind three dots. */
export function ActionMenu({ label, actions }: { label: string; actions: MenuAction[] }) {
  return (
    <Menu.Root>
      <Menu.Trigger className="button quiet icon-only small" aria-label={label}>
        <Ellipsis className="icon" aria-hidden />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner sideOffset={4} align="end">
          <Menu.Popup className="floating menu">
            {actions.map(({ label: name, icon: Icon, isDanger, run }) => (
              <Menu.Item
                key={name}
                className={isDanger ? 'menu-item danger' : 'menu-item'}
                onClick={run}
              >
                <Icon className="icon" aria-hidden />
                {name}
              </Menu.Item>
            ))}
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  )
}
