import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

/**
 * Waits until no other living process holds the lock file, then holds it.
 * Returns the function that lets it go; it is also let go when the process exits.
 */
export async function lock(file) {
  mkdirSync(dirname(file), { recursive: true })
  let said = false
  while (!take(file)) {
    const holder = readHolder(file)
    if (holder === undefined || !isAlive(holder)) {
      rmSync(file, { force: true })
      continue
    }
    if (!said)
      process.stderr.write(`Another set-up (process ${holder}) is at work; waiting for it ...\n`)
    said = true
    await wait(200)
  }
  const unlock = () => rmSync(file, { force: true })
  process.once('exit', unlock)
  return () => {
    process.removeListener('exit', unlock)
    unlock()
  }
}

/** A link, because a file that is created and then written is empty for a moment. */
function take(file) {
  const own = `${file}.${process.pid}`
  writeFileSync(own, String(process.pid))
  try {
    linkSync(own, file)
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(own)
  }
}

function readHolder(file) {
  try {
    return Number(readFileSync(file, 'utf8')) || undefined
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
