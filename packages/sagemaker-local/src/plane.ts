import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { lockFile } from '@millrace/scoring/environment-lock'
import { createPlaneApp } from './http/plane-app.ts'
import { type PlaneSettings, programEnvironment } from './plane-settings.ts'
import { openImageStore } from './registry/image-store.ts'
import { type RunnerProcess, startRunner } from './runner/runner-process.ts'
import { openObjectStore } from './s3/object-store.ts'
import { openState } from './state/open-state.ts'
import { startUpkeep } from './upkeep.ts'

/** How to start a control plane; what is left out has the value of `millrace sagemaker-local`. */
export interface PlaneOptions
  extends Partial<Omit<PlaneSettings, 'directory' | 'url' | 'environment'>> {
  /** Where everything lies; made when it is not there. */
  directory: string
  /** The address to listen at, loopback unless told otherwise. */
  host?: string
  /** 0 for any that is free. */
  port?: number
  /** The environment to find programs in, of which only that part is kept. */
  environment: NodeJS.ProcessEnv
  /** False for a plane whose jobs are carried on by a runner that somebody else starts. */
  hasRunner?: boolean
  /** Hosts besides AWS's to which its proxy leads: `example.org`, `*.example.org`. None unless given. */
  proxyTunnels?: string[]
  /** Answers the pages of a tracking server, which shows this text; without it, none. */
  pagesToken?: string
}

/** A control plane that answers. */
export interface Plane extends AsyncDisposable {
  /** `http://127.0.0.1:5055` */
  url: string
  settings: PlaneSettings
  runner: RunnerProcess | undefined
}

export const DEFAULT_PORT = 5055

/**
 * Starts a control plane and its runner. Disposing it stops both; processes of jobs go on and are
 * adopted by the next plane of the same directory.
 */
export async function startPlane(options: PlaneOptions): Promise<Plane> {
  const directory = resolve(options.directory)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const host = options.host ?? '127.0.0.1'
  const settings: PlaneSettings = {
    directory,
    url: '',
    region: options.region ?? 'us-east-1',
    accountId: options.accountId ?? '123456789012',
    roleName: options.roleName ?? 'MillraceSageMakerRole',
    accessKeys: options.accessKeys ?? [],
    trackingUri: options.trackingUri,
    places: options.places ?? 2,
    imagesFile: options.imagesFile === undefined ? undefined : resolve(options.imagesFile),
    environment: programEnvironment(options.environment),
  }
  const lock = await lockFile(join(directory, 'plane.lock'), () => {
    throw new Error(`Another control plane has the data directory ${directory}.`)
  })
  const state = openState(directory)
  const objects = openObjectStore(join(directory, 's3'))
  const images = openImageStore(join(directory, 'registry'))
  const app = createPlaneApp({
    settings,
    state,
    objects,
    images,
    pagesToken: options.pagesToken,
    proxyTunnels: options.proxyTunnels ?? [],
  })
  const url = await app.listen({ host, port: options.port ?? DEFAULT_PORT })
  settings.url = url
  // Started in a shell of `millrace env --proxy`: what is installed for jobs does not come from here.
  if (settings.environment['HTTPS_PROXY'] === url) delete settings.environment['HTTPS_PROXY']
  const upkeep = startUpkeep({ objects, images }, (error) =>
    app.log.error({ err: error }, 'What is left over could not be removed'),
  )
  const runner = options.hasRunner === false ? undefined : startRunner(settings)
  return {
    url,
    settings,
    runner,
    async [Symbol.asyncDispose]() {
      await runner?.[Symbol.asyncDispose]()
      await app.close()
      await upkeep[Symbol.asyncDispose]()
      images[Symbol.dispose]()
      objects[Symbol.dispose]()
      state.close()
      lock[Symbol.dispose]()
    },
  }
}
