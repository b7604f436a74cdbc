/** Who is calling. */
export interface Caller {
  name: string
  workspace: string
}

/** The caller of every request while the server has one user and no login. */
export const SINGLE_USER: Caller = { name: 'local', workspace: 'default' }
