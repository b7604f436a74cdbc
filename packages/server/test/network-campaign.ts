import { parseArgs } from 'node:util'
import { createClient } from '@millrace/client/client'
import { createDatabase, type ServerKind, startDatabaseServer } from './database-servers.ts'
import { startFaultyProxy } from './faulty-proxy.ts'
import { startFaultyWire } from './faulty-wire.ts'
import { findDifferences } from './ledger-check.ts'
import { seededRandom } from './seeded-random.ts'
import { artifactsPath, startServerProcess } from './server-process.ts'
import { logWithStockClient } from './stock-clients.ts'
import { temporaryFolder } from './temporary-folder.ts'

/**
 * MLflow's own client logs through a proxy that loses, cuts, delays and repeats, to a server whose
 * connections to its database break; then what is there is compared with what the client was told:
 * `node packages/server/test/network-campaign.ts --database postgresql --seconds 60`
 */
export interface CampaignOptions {
  /** Undefined for SQLite, to which there is no wire. */
  database: ServerKind | undefined
  seed: number
  threads: number
  seconds: number
  /** Share of the client's requests with a fault. */
  share: number
  /** Share of the pieces between server and database with a fault. */
  wireShare: number
}

export interface CampaignFigures {
  acknowledged: number
  /** Calls of the client that raised, by text. */
  raised: Record<string, number>
  faults: Record<string, number>
  differences: string[]
}

const CLIENT_TIMEOUT_S = 2

export async function runNetworkCampaign(options: CampaignOptions): Promise<CampaignFigures> {
  const { seed, threads, seconds, share } = options
  const random = seededRandom(seed)
  await using folder = await temporaryFolder()
  await using storage = await startStorage(options)
  await using server = await startServerProcess({
    folder: folder.path,
    args: [...storage.args, `--artifacts-destination=${artifactsPath(folder.path)}`],
  })
  const tooLateMs = CLIENT_TIMEOUT_S * 1000 + 500
  await using proxy = await startFaultyProxy({ targetPort: server.port, random, share, tooLateMs })
  const client = createClient({ baseUrl: server.url })
  const model = `network-${seed}`
  const { experiment_id } = await client.experiments.create({ name: model })
  await client.registeredModels.create({ name: model })
  const wire = storage.wire
  if (wire !== undefined) wire.share = options.wireShare

  const logging = { url: proxy.url, experiment_id, model, seed, threads, seconds }
  const ledger = await logWithStockClient({ ...logging, timeoutSeconds: CLIENT_TIMEOUT_S })

  if (wire !== undefined) wire.share = 0
  const differences = await findDifferences(client, server.url, ledger)
  const { code } = await server.terminate()
  if (code !== 0) differences.push(`the server ended with ${code}: ${server.output()}`)
  const { acknowledged, raised } = ledger
  return { acknowledged, raised, faults: { ...proxy.counts, ...wire?.counts }, differences }
}

/** A database behind a wire that is without faults at first. */
async function startStorage({ database, seed }: CampaignOptions) {
  if (database === undefined) {
    return { args: [], wire: undefined, [Symbol.asyncDispose]: async () => {} }
  }
  const server = await startDatabaseServer(database, { isDurable: true })
  if (server === undefined) throw new Error(`${database} is not installed`)
  const uri = new URL(await createDatabase(server.adminUri))
  const wire = await startFaultyWire({
    targetPort: Number(uri.port),
    random: seededRandom(seed + 1),
    share: 0,
    stallMaxMs: 500,
  })
  uri.port = String(wire.port)
  return {
    args: [`--backend-store-uri=${uri.href}`],
    wire,
    async [Symbol.asyncDispose]() {
      await wire[Symbol.asyncDispose]()
      await server.stop()
    },
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      database: { type: 'string', default: 'sqlite' },
      seconds: { type: 'string', default: '60' },
      threads: { type: 'string', default: '8' },
      share: { type: 'string', default: '0.1' },
      'wire-share': { type: 'string', default: '0.002' },
      seed: { type: 'string', default: '1' },
    },
  })
  const figures = await runNetworkCampaign({
    database: values.database === 'sqlite' ? undefined : (values.database as ServerKind),
    seconds: Number(values.seconds),
    threads: Number(values.threads),
    share: Number(values.share),
    wireShare: Number(values['wire-share']),
    seed: Number(values.seed),
  })
  const { acknowledged, raised, faults, differences } = figures
  console.log(`${acknowledged} calls acknowledged through ${JSON.stringify(faults)}`)
  for (const [text, count] of Object.entries(raised)) console.log(`raised ${count} times: ${text}`)
  console.log(
    differences.length === 0 ? 'nothing lost, doubled or half done' : differences.join('\n'),
  )
  process.exitCode = differences.length === 0 ? 0 : 1
}

if (import.meta.main) await main()
