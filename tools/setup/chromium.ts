import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { runStep } from './step.mjs'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const MAC_APP = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'

/** What to do when no browser was found and none could be installed. */
export const missingChromium =
  'Chromium was not found: install it (Debian: apt-get install chromium), or set MILLRACE_CHROMIUM to its path'

/**
 * The path of a Chromium or Chrome: MILLRACE_CHROMIUM, PATH, or installed with apt-get where this
 * process may do that. Undefined when there is none; throws when the installation fails.
 */
export async function ensureChromium(): Promise<string | undefined> {
  const named = process.env['MILLRACE_CHROMIUM']
  if (named) {
    if (!existsSync(named)) throw new Error(`MILLRACE_CHROMIUM is ${named}, which does not exist.`)
    return named
  }
  const found = find(NAMES) ?? (existsSync(MAC_APP) ? MAC_APP : undefined)
  if (found || process.getuid?.() !== 0 || !find(['apt-get'])) return found

  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const advice = missingChromium
  await runStep({
    title: 'Reading the package lists',
    file: 'apt-get',
    args: ['update'],
    advice,
    env,
  })
  await runStep({
    title: 'Installing Chromium',
    file: 'apt-get',
    args: ['install', '-y', '--no-install-recommends', 'chromium', 'fonts-liberation'],
    advice,
    env,
  })
  return find(NAMES)
}

function find(names: string[]): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return names
    .flatMap((name) => folders.map((bin) => join(bin, name)))
    .find((path) => existsSync(path))
}
