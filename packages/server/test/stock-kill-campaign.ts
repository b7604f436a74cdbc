import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createClient } from '@millrace/client/client'
import { createDatabase, type ServerKind, startDatabaseServer } from './database-servers.ts'
import { findDifferences } from './ledger-check.ts'
import { seededRandom } from './seeded-random.ts'
import { artifactsPath, startServerProcess } from './server-process.ts'
import { logWithStockClient, type StockLedger } from './stock-clients.ts'
import { temporaryFolder } from './temporary-folder.ts'

/**
 * Kills a server (`kill -9`) again and again while MLflow's own client logs to it and goes on trying,
 * and compares what is there at the end with what the client was told:
 * `node packages/server/test/stock-kill-campaign.ts --database postgresql --kills 2000`
 */
export interface CampaignOptions {
  /** Undefined for SQLite. */
  database: ServerKind | undefined
  kills: number
  seed: number
  threads: number
  /** Longest time from the server's listening to the kill. */
  lifeMaxMs: number
  report?: (line: string) => void
}

export interface CampaignFigures {
  acknowledged: number
  raised: Record<string, number>
  /** What the client made twice, for it asked again a server that was born since. */
  doubled: string[]
  differences: string[]
}

/** Then it ends its runs, and what it was told is compared. */
const SECONDS_PER_CLIENT = 40
const CLIENT_TIMEOUT_S = 10
/** A creation that the killed server had stored and not answered is asked of the next one. */
const DOUBLED = /was created \d+ times$|is there \d+ times$/

export async function runStockKillCampaign(options: CampaignOptions): Promise<CampaignFigures> {
  const { kills, seed, report = () => undefined } = options
  const figures: CampaignFigures = { acknowledged: 0, raised: {}, doubled: [], differences: [] }
  await using folder = await temporaryFolder()
  await using storage = await startStorage(options.database)
  const args = [...storage.args, `--artifacts-destination=${artifactsPath(folder.path)}`]
  let server = await startServerProcess({ folder: folder.path, args })
  const { port, url } = server
  const restart = () =>
    startServerProcess({ folder: folder.path, args: [...args, `--port=${port}`] })
  const client = createClient({ baseUrl: url })
  const random = seededRandom(seed)
  try {
    let killed = 0
    for (let round = 0; killed < kills; round++) {
      const name = `killed-${round}`
      const { experiment_id } = await client.experiments.create({ name })
      await client.registeredModels.create({ name })
      let isOver = false
      const logging = logWithStockClient({
        url,
        experiment_id,
        model: name,
        seed: seed + round,
        threads: options.threads,
        seconds: SECONDS_PER_CLIENT,
        timeoutSeconds: CLIENT_TIMEOUT_S,
      }).finally(() => {
        isOver = true
      })
      // Heard of at once, so that no failure is unhandled while servers are killed.
      logging.catch(() => {})
      while (!isOver && killed < kills) {
        // It lives about as long as it takes to start, or clients would find it down most times.
        await wait(random.below(options.lifeMaxMs) + server.startMs)
        await server.kill()
        killed += 1
        server = await restart()
      }
      const ledger = await logging
      count(figures, ledger, await findDifferences(client, url, ledger))
      report(`${killed} kills, ${figures.acknowledged} acknowledged so far`)
    }
    const { code } = await server.terminate()
    if (code !== 0) figures.differences.push(`the last server ended with ${code}`)
  } finally {
    await server.kill()
  }
  return figures
}

function count(figures: CampaignFigures, ledger: StockLedger, differences: string[]): void {
  figures.acknowledged += ledger.acknowledged
  for (const [text, times] of Object.entries(ledger.raised)) {
    figures.raised[text] = (figures.raised[text] ?? 0) + times
  }
  for (const difference of differences) {
    ;(DOUBLED.test(difference) ? figures.doubled : figures.differences).push(difference)
  }
}

async function startStorage(database: ServerKind | undefined) {
  if (database === undefined) return { args: [], [Symbol.asyncDispose]: async () => {} }
  const server = await startDatabaseServer(database, { isDurable: true })
  if (server === undefined) throw new Error(`${database} is not installed`)
  const uri = await createDatabase(server.adminUri)
  return {
    args: [`--backend-store-uri=${uri}`],
    [Symbol.asyncDispose]: () => server.stop(),
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      database: { type: 'string', default: 'sqlite' },
      kills: { type: 'string', default: '2000' },
      threads: { type: 'string', default: '6' },
      'life-ms': { type: 'string', default: '1500' },
      seed: { type: 'string', default: '1' },
    },
  })
  const { acknowledged, raised, doubled, differences } = await runStockKillCampaign({
    database: values.database === 'sqlite' ? undefined : (values.database as ServerKind),
    kills: Number(values.kills),
    threads: Number(values.threads),
    lifeMaxMs: Number(values['life-ms']),
    seed: Number(values.seed),
    report: (line) => console.log(line),
  })
  console.log(`${acknowledged} calls acknowledged`)
  for (const [text, times] of Object.entries(raised)) console.log(`raised ${times} times: ${text}`)
  for (const line of doubled) console.log(`sent again to the next server: ${line}`)
  console.log(differences.length === 0 ? 'nothing lost or half done' : differences.join('\n'))
  process.exitCode = differences.length === 0 ? 0 : 1
}

if (import.meta.main) await main()
