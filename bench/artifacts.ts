import { request } from 'node:http'
import { parseArgs } from 'node:util'
import { ensurePeer, millrace, type Peer } from './peers.ts'
import { table } from './report.ts'
import { type ServerProcess, settle, withServer } from './server-process.ts'
import { median } from './statistics.ts'

/**
 * Artifacts through the server, up and down, and what its memory grows by meanwhile:
 * `node bench/artifacts.ts [--peers mlflow] [--mib 1,200,5120] [--rounds 3]`. Files of one MiB are
 * sent by the hundred; the largest ones once for each round. Figures are medians.
 */

const CHUNK = Buffer.alloc(64 * 1024, 'millrace')
const MIB = 2 ** 20
const SMALL_FILES = 100
/** A sample looks at every process of the machine, beside what is measured. */
const SAMPLE_MS = 100

const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: 'mlflow' },
    mib: { type: 'string', default: '1,200,5120' },
    rounds: { type: 'string', default: '3' },
  },
})

interface Sample {
  way: 'up' | 'down'
  mib: number
  peer: string
  mibPerSecond: number
  /** Proportional set size of the whole tree above what it was at rest. */
  growthMib: number
}

const sizes = values.mib.split(',').map(Number)
const peers: Peer[] = [millrace()]
for (const name of values.peers.split(',').filter(Boolean)) peers.push(await ensurePeer(name))
const samples: Sample[] = []
for (const peer of peers) {
  await withServer(peer, async (server) => {
    for (const mib of sizes) {
      for (let round = 0; round < Number(values.rounds); round++) {
        for (const way of ['up', 'down'] as const) {
          samples.push({ way, mib, peer: peer.name, ...(await measure(server, way, mib)) })
        }
      }
      process.stderr.write(`${peer.name}: ${mib} MiB measured\n`)
    }
  })
}
const rows = [...Map.groupBy(samples, ({ way, mib, peer }) => `${mib} MiB ${way}|${peer}`)].map(
  ([name, taken]) => {
    const [what = '', peer = ''] = name.split('|')
    const first = taken[0]
    const ours = samples.filter(
      (one) => one.peer === 'millrace' && one.way === first?.way && one.mib === first.mib,
    )
    const rate = median(taken.map(({ mibPerSecond }) => mibPerSecond))
    const ratio = median(ours.map(({ mibPerSecond }) => mibPerSecond)) / rate
    const growth = Math.max(...taken.map(({ growthMib }) => growthMib))
    return [what, peer, rate.toFixed(0), growth.toFixed(0), `${ratio.toFixed(1)}x`]
  },
)
rows.sort(([left = ''], [right = '']) => Number.parseInt(left, 10) - Number.parseInt(right, 10))
const head = ['file', 'server', 'MiB/s', 'memory + MiB, peak', 'millrace is']
process.stdout.write(`## Artifacts through the server\n${table(head, rows)}\n`)

async function measure(server: ServerProcess, way: 'up' | 'down', mib: number) {
  await settle(server)
  const restMib = server.usage().pssMib
  let peakMib = restMib
  const sampler = setInterval(() => {
    peakMib = Math.max(peakMib, server.usage().pssMib)
  }, SAMPLE_MS)
  const files = mib <= 1 ? SMALL_FILES : 1
  const startedMs = performance.now()
  for (let file = 0; file < files; file++) {
    const name = `bench/${mib}-${file}.bin`
    await (way === 'up' ? upload(server, name, mib * MIB) : download(server, name, mib * MIB))
  }
  const seconds = (performance.now() - startedMs) / 1000
  clearInterval(sampler)
  return { mibPerSecond: (mib * files) / seconds, growthMib: peakMib - restMib }
}

function pathOf(name: string): string {
  return `/api/2.0/mlflow-artifacts/artifacts/${name}`
}

async function upload({ port }: ServerProcess, name: string, bytes: number): Promise<void> {
  const headers = { 'content-length': bytes, 'content-type': 'application/octet-stream' }
  const sending = request({ port, host: '127.0.0.1', path: pathOf(name), method: 'PUT', headers })
  const answered = new Promise<void>((resolve, reject) => {
    sending.once('error', reject)
    sending.once('response', (answer) => {
      answer.resume()
      answer.once('end', () => {
        if (answer.statusCode === 200) resolve()
        else reject(new Error(`${name} was answered ${answer.statusCode}`))
      })
    })
  })
  const written = (async () => {
    for (let sent = 0; sent < bytes; sent += CHUNK.length) {
      if (sending.write(CHUNK)) continue
      await new Promise((resolve) => sending.once('drain', resolve))
    }
    sending.end()
  })()
  await Promise.race([answered, Promise.all([answered, written])])
}

function download({ port }: ServerProcess, name: string, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const asking = request({ port, host: '127.0.0.1', path: pathOf(name) }, (answer) => {
      let received = 0
      answer.on('data', (chunk: Buffer) => {
        received += chunk.length
      })
      answer.once('error', reject)
      answer.once('end', () => {
        if (answer.statusCode === 200 && received === bytes) resolve()
        else reject(new Error(`${name}: ${received} bytes with status ${answer.statusCode}`))
      })
    })
    asking.once('error', reject)
    asking.end()
  })
}
