/** The folder of the checkout. */
export const root: string

/** Runs one program of the set-up; throws one sentence when it fails. See step.mjs. */
export function runStep(step: {
  title: string
  file: string
  args: string[]
  /** What a person can do when it fails. */
  advice: string
  env?: NodeJS.ProcessEnv
  cwd?: string
}): Promise<void>
