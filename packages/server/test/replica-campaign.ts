import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createClient } from '@millrace/client/client'
import type { DatabaseConfig } from '../src/config.ts'
import { parseServerUri } from '../src/db/server-address.ts'
import {
  createDatabase,
  type DatabaseServer,
  type ServerKind,
  startDatabaseServer,
} from './database-servers.ts'
import { findDifferences } from './ledger-check.ts'
import { type Ledger, newLedger, startLogging } from './logging-clients.ts'
import { type Random, seededRandom } from './seeded-random.ts'
import { artifactsPath, type ServerProcess, startServerProcess } from './server-process.ts'
import { findBrokenInvariants } from './shared-database.ts'
import { temporaryFolder } from './temporary-folder.ts'

/**
 * Kills (`kill -9`) one of three servers, or the database that they share, while clients log to all
 * of them, and compares what is there afterwards with what was acknowledged:
 * `node packages/server/test/replica-campaign.ts --database postgresql --kills 100`
 */
export interface CampaignOptions {
  database: ServerKind
  kills: number
  seed: number
  clientsEach: number
  /** Longest time between the first write and the kill. */
  lifeMaxMs?: number
  report?: (line: string) => void
}

export interface CampaignFigures {
  acknowledged: number
  kills: { replica: number; database: number }
  /** From the database's being back to the first write that a server stores, in milliseconds. */
  recoveryMs: number[]
  differences: string[]
}

const REPLICAS = 3
const LIFE_MAX_MS = 1500
/** A database is down for so long at most, and a killed server's clients have noticed after it. */
const DOWN_MAX_MS = 500
const RECOVERY_MAX_MS = 20_000

export async function runReplicaCampaign(options: CampaignOptions): Promise<CampaignFigures> {
  const { kills, seed, report = () => undefined } = options
  const server = await startDatabaseServer(options.database, { isDurable: true })
  if (server === undefined) throw new Error(`${options.database} is not installed`)
  await using folder = await temporaryFolder()
  const uri = await createDatabase(server.adminUri)
  const start = () =>
    startServerProcess({
      folder: folder.path,
      args: [`--backend-store-uri=${uri}`, `--artifacts-destination=${artifactsPath(folder.path)}`],
    })
  const random = seededRandom(seed)
  const figures: CampaignFigures = {
    acknowledged: 0,
    kills: { replica: 0, database: 0 },
    recoveryMs: [],
    differences: [],
  }
  // All at once on an empty database, as a deployment does.
  const replicas = await Promise.all(Array.from({ length: REPLICAS }, start))
  try {
    for (let kill = 0; kill < kills; kill++) {
      const what = random.chance(0.5) ? 'database' : 'replica'
      const ledgers = await logAndKill(replicas, kill, { what, server, random, options, figures })
      // What the killed one was told is asked of those that go on.
      const others = what === 'replica' ? replicas.slice(1) : replicas
      const check = async (ledger: Ledger, index: number) => {
        const url = others[index % others.length]?.url ?? ''
        const found = await findDifferences(createClient({ baseUrl: url }), url, ledger)
        figures.differences.push(...found.map((line) => `kill ${kill} (${what}): ${line}`))
        figures.acknowledged += ledger.acknowledged
      }
      const next = what === 'replica' ? start() : Promise.resolve(replicas[0])
      const [last] = await Promise.all([next, ...ledgers.map(check)])
      replicas.splice(0, 1)
      if (last !== undefined) replicas.push(last)
      report(`kill ${kill + 1}: ${what}, ${figures.acknowledged} acknowledged so far`)
    }
    for (const replica of replicas) {
      const { code } = await replica.terminate()
      if (code !== 0) figures.differences.push(`a server ended with ${code}: ${replica.output()}`)
    }
    const database: DatabaseConfig = {
      kind: 'server',
      address: parseServerUri(uri),
      connectionsMax: 4,
      pendingWritesMax: 1,
    }
    figures.differences.push(...(await findBrokenInvariants(database)))
  } finally {
    for (const replica of replicas) await replica.kill()
    await server.stop()
  }
  return figures
}

interface Kill {
  what: 'replica' | 'database'
  server: DatabaseServer
  random: Random
  options: CampaignOptions
  figures: CampaignFigures
}

async function logAndKill(
  replicas: readonly ServerProcess[],
  kill: number,
  { what, server, random, options, figures }: Kill,
): Promise<Ledger[]> {
  const { seed, clientsEach: clients } = options
  const all = []
  for (const [index, process] of replicas.entries()) {
    const { url, port } = process
    const client = createClient({ baseUrl: url })
    const name = `kill-${kill}-${index}`
    const { experiment_id } = await client.experiments.create({ name })
    await client.registeredModels.create({ name })
    const ledger = newLedger(experiment_id, name)
    const logging = startLogging({ port, ledger, clients, seed: seed * 10_000 + kill * 10 + index })
    all.push({ ledger, logging, client, process })
  }
  await wait(30 + random.next() * (options.lifeMaxMs ?? LIFE_MAX_MS))
  figures.kills[what]++
  if (what === 'replica') {
    await replicas[0]?.kill()
    await wait(100)
  } else {
    await server.kill()
    await wait(random.next() * DOWN_MAX_MS)
    await server.restart()
    const backMs = performance.now()
    await Promise.all(
      all.map(async ({ client, ledger, process }) => {
        const tag = { experiment_id: ledger.experiment_id, key: 'back', value: String(kill) }
        while (!(await succeeds(() => client.experiments.setTag(tag)))) {
          await wait(20)
          if (performance.now() - backMs > RECOVERY_MAX_MS) {
            figures.differences.push(`kill ${kill}: no recovery. ${process.output()}`)
            return
          }
        }
        figures.recoveryMs.push(performance.now() - backMs)
      }),
    )
  }
  for (const { logging } of all) await logging.stop()
  return all.map(({ ledger }) => ledger)
}

async function succeeds(action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action()
    return true
  } catch {
    return false
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      database: { type: 'string', default: 'postgresql' },
      kills: { type: 'string', default: '100' },
      clients: { type: 'string', default: '4' },
      'life-ms': { type: 'string', default: String(LIFE_MAX_MS) },
      seed: { type: 'string', default: '1' },
    },
  })
  const figures = await runReplicaCampaign({
    database: values.database === 'mariadb' ? 'mariadb' : 'postgresql',
    kills: Number(values.kills),
    clientsEach: Number(values.clients),
    lifeMaxMs: Number(values['life-ms']),
    seed: Number(values.seed),
    report: (line) => console.log(line),
  })
  console.log(`${figures.acknowledged} writes acknowledged`)
  console.log(`slowest recovery ${Math.max(0, ...figures.recoveryMs).toFixed(0)} ms`)
  const { differences } = figures
  console.log(
    differences.length === 0 ? 'nothing lost, doubled or half done' : differences.join('\n'),
  )
  process.exitCode = differences.length === 0 ? 0 : 1
}

if (import.meta.main) await main()
