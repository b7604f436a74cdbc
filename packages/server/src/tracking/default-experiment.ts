import type { Settings } from '../config.ts'
import type { Db } from '../db/dialect.ts'
import { insertExperiment } from './experiment-store.ts'

/** Makes the experiment `Default` with id 0, where clients log that name none. */
export async function ensureDefaultExperiment(db: Db, settings: Settings): Promise<void> {
  const found = await db
    .selectFrom('experiment')
    .select('id')
    .where((eb) => eb.or([eb('id', '=', 0), eb('name', '=', 'Default')]))
    .executeTakeFirst()
  if (found !== undefined) return
  const experiment = { workspace: 'default', name: 'Default', creation_time: Date.now(), id: 0 }
  await insertExperiment(
    db,
    experiment,
    (id) => `${settings.defaultArtifactRoot.replace(/\/$/, '')}/${id}`,
  )
}
