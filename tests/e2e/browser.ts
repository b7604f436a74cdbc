import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { ensureChromium, missingChromium } from '../../tools/setup/chromium.ts'
import { root } from '../../tools/setup/step.mjs'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** How long a page may take on a busy machine before a test says that something is missing. */
const PATIENCE_MS = 60_000

/** A headless Chromium; dispose of it by closing it. */
export async function launchBrowser(): Promise<Browser> {
  const executablePath = await ensureChromium()
  if (executablePath === undefined) throw new Error(missingChromium)
  return chromium.launch({ executablePath, args: FLAGS })
}

export interface VisitOptions {
  colorScheme?: 'light' | 'dark'
  width?: number
}

/** A page with nothing remembered, and what it complained about. */
export async function openPage(
  browser: Browser,
  { colorScheme = 'light', width = 1440 }: VisitOptions = {},
): Promise<{ page: Page; problems: string[] }> {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme })
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text())
  })
  return { page, problems }
}

/** Keeps what a page looks like in .cache/screenshots, for people to look at. */
export async function saveScreenshot(page: Page, name: string): Promise<void> {
  const folder = join(root, '.cache', 'screenshots')
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`) })
}
