import type { Fleet, FleetServer } from './endpoint.ts'

let turn = 0

/** The variant that the next request is for, by the weights; undefined when all of them are 0. */
export function chooseVariant(
  { variants }: Pick<Fleet, 'variants'>,
  random: () => number = Math.random,
): string | undefined {
  const total = variants.reduce((sum, { weight }) => sum + weight, 0)
  let rest = random() * total
  for (const { variant, weight } of variants) {
    if (weight <= 0) continue
    rest -= weight
    if (rest < 0) return variant.VariantName
  }
  return undefined
}

/** A server of a variant that answers, each in its turn; not one of those that were tried. */
export function chooseServer(
  { servers }: Pick<Fleet, 'servers'>,
  variant: string,
  tried: number[],
): FleetServer | undefined {
  const ready = servers.filter(
    (server) =>
      server.variant === variant &&
      server.isReady &&
      server.port > 0 &&
      !tried.includes(server.port),
  )
  turn = (turn + 1) % Number.MAX_SAFE_INTEGER
  return ready[turn % ready.length]
}
