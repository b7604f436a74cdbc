import type { ModelVersionLink } from '@millrace/api/sagemaker-pages'
import { Link } from '@tanstack/react-router'

/** A registered version by its model and number. */
export function VersionLink({ version: { name, version } }: { version: ModelVersionLink }) {
  return (
    <Link to="/models/$name/versions/$version" params={{ name, version }}>
      {name} version {version}
    </Link>
  )
}
