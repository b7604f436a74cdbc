import { existsSync } from 'node:fs'
import { findProgram, installDebianPackages } from './debian-packages.ts'

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
  const found = findProgram(NAMES) ?? (existsSync(MAC_APP) ? MAC_APP : undefined)
  if (found !== undefined) return found
  const packages = ['chromium', 'fonts-liberation']
  const isInstalled = await installDebianPackages('Installing Chromium', packages, missingChromium)
  return isInstalled ? findProgram(NAMES) : undefined
}
