import { type ImageStore, removeBlobLink } from './image-store.ts'
import { RegistryError } from './registry-error.ts'

export interface Repository {
  name: string
  createdMs: number
  /** Whether a tag, once pushed, stays with its image. */
  isImmutable: boolean
}

const NAME = /^(?:[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*\/)*[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/

/** Creates a repository; `NAME_EXISTS` when there is one, `NAME_INVALID` by ECR's rules for names. */
export function createRepository(
  store: ImageStore,
  name: string,
  { isImmutable = false } = {},
): Repository {
  if (!NAME.test(name) || name.length < 2 || name.length > 256) {
    throw new RegistryError('NAME_INVALID', `'${name.slice(0, 300)}' is no name of a repository.`)
  }
  return store.write(() => {
    if (findRepository(store, name)) {
      throw new RegistryError('NAME_EXISTS', `The repository with name '${name}' already exists.`)
    }
    const repository = { name, createdMs: Date.now(), isImmutable }
    store
      .sql('INSERT INTO repositories VALUES (?, ?, ?)')
      .run(name, repository.createdMs, Number(isImmutable))
    return repository
  })
}

/** The repository, or undefined. */
export function findRepository(store: ImageStore, name: string): Repository | undefined {
  const row = store.sql('SELECT * FROM repositories WHERE name = ?').get(name)
  return row && repositoryOf(row)
}

/** The repository; `NAME_UNKNOWN` when there is none. */
export function getRepository(store: ImageStore, name: string): Repository {
  const repository = findRepository(store, name)
  if (repository) return repository
  throw new RegistryError(
    'NAME_UNKNOWN',
    `The repository with name '${name}' does not exist; create it first (ECR CreateRepository).`,
  )
}

/** Repositories in the order of their names. */
export function listRepositories(
  store: ImageStore,
  { after = '', limit = Number.MAX_SAFE_INTEGER }: { after?: string; limit?: number } = {},
): Repository[] {
  return store
    .sql('SELECT * FROM repositories WHERE name > ? ORDER BY name LIMIT ?')
    .all(after, limit)
    .map(repositoryOf)
}

/** Deletes a repository; `NAME_NOT_EMPTY` when it has images, unless they are to go with it. */
export function deleteRepository(
  store: ImageStore,
  name: string,
  { withImages = false } = {},
): Repository {
  return store.write(() => {
    const repository = getRepository(store, name)
    const hasImages = store.sql('SELECT 1 FROM manifests WHERE repository = ? LIMIT 1').get(name)
    if (hasImages && !withImages) {
      throw new RegistryError(
        'NAME_NOT_EMPTY',
        `The repository with name '${name}' cannot be deleted because it still contains images`,
      )
    }
    for (const table of ['manifests', 'manifest_references', 'tags', 'uploads']) {
      store.sql(`DELETE FROM ${table} WHERE repository = ?`).run(name)
    }
    for (const { digest } of store.sql('SELECT digest FROM blobs WHERE repository = ?').all(name)) {
      removeBlobLink(store, name, String(digest))
    }
    store.sql('DELETE FROM repositories WHERE name = ?').run(name)
    return repository
  })
}

function repositoryOf(row: Record<string, unknown>): Repository {
  return {
    name: String(row['name']),
    createdMs: Number(row['created_ms']),
    isImmutable: row['is_immutable'] === 1,
  }
}
