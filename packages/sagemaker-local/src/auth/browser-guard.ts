import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'

// Names under which containers know the machine that they run on.
const OWN_NAMES = ['localhost', 'host.docker.internal', 'host.containers.internal']
/** Hosts of AWS. */
export const AWS_NAME = /^([a-z0-9.-]+\.)?amazonaws\.com(\.cn)?$/

/**
 * Why a request seems to come from a web page that has no business here; undefined when it may pass.
 * To be asked wherever requests need no signature: on one's own machine any page in a browser can
 * send forms to 127.0.0.1, and a name that its owner points there makes it a page of ours.
 * `hosts` are further names of this service; names below them are good as well.
 */
export function foreignPage(
  headers: IncomingHttpHeaders,
  hosts: string[] = [],
): string | undefined {
  const host = headers.host ?? ''
  const name = hostName(host)
  if (name === undefined || !isOwnName(name, hosts)) {
    return `Requests without a signature are taken for this machine only, not for the host '${host.slice(0, 100)}'.`
  }
  const { origin } = headers
  if (origin !== undefined && originHost(origin) !== host.toLowerCase()) {
    return `Requests without a signature are not taken from pages of '${origin.slice(0, 100)}'.`
  }
  const isNavigation = headers['sec-fetch-mode'] === 'navigate'
  if (headers['sec-fetch-site'] === 'cross-site' && !isNavigation) {
    return 'Requests without a signature are not taken from pages of other sites.'
  }
  return undefined
}

/** The name in a Host header, or undefined when it is not `name[:port]`. */
function hostName(host: string): string | undefined {
  const [, address, name] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(host) ?? []
  return (address ?? name)?.toLowerCase()
}

function isOwnName(name: string, hosts: string[]): boolean {
  if (isIP(name) !== 0 || AWS_NAME.test(name)) return true
  return [...OWN_NAMES, ...hosts].some((own) => name === own || name.endsWith(`.${own}`))
}

function originHost(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}
