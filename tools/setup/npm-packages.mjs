import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hashOf } from './stamp.mjs'
import { root, runStep } from './step.mjs'

const lockFile = join(root, 'package-lock.json')
const stampFile = join(root, 'node_modules', '.millrace-setup')
const installedFile = join(root, 'node_modules', '.package-lock.json')

/** Installs what package-lock.json names, unless it is there already. */
export async function installNpmPackages() {
  const stamp = hashOf([readFileSync(lockFile)])
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return

  // Somebody who ran npm by hand has all packages and no stamp; `npm ci` would delete them first.
  if (!isInstalled()) {
    await runStep({
      title: 'Installing npm packages',
      file: process.platform === 'win32' ? 'npm.cmd' : 'npm',
      args: ['ci', '--no-audit', '--no-fund', '--loglevel=error'],
      advice: 'Check that the npm registry can be reached, then run the same command again.',
    })
  }
  writeFileSync(stampFile, stamp)
}

/** Whether npm's own record of node_modules holds every package of the lock that is not optional. */
function isInstalled() {
  if (!existsSync(installedFile)) return false
  const wanted = JSON.parse(readFileSync(lockFile, 'utf8')).packages
  const installed = JSON.parse(readFileSync(installedFile, 'utf8')).packages
  return Object.entries(wanted).every(([path, { version, integrity, optional }]) => {
    if (!path.startsWith('node_modules/')) return true
    const found = installed[path]
    if (!found) return optional === true
    return found.version === version && found.integrity === integrity
  })
}
