import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { create } from 'tar'
import { expect } from 'vitest'

/** Pushes an image as `docker push` does. */
export async function pushImage(
  url: string,
  name: string,
  layers: Buffer[],
  config: object,
): Promise<string> {
  const blob = async (bytes: Buffer, mediaType: string) => {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    const { headers } = await fetch(`${url}/v2/${name}/blobs/uploads/`, { method: 'POST' })
    const place = new URL(headers.get('location') ?? '', url)
    place.searchParams.set('digest', digest)
    const answer = await fetch(place, { method: 'PUT', body: new Uint8Array(bytes) })
    expect(answer.status).toBe(201)
    return { mediaType, digest, size: bytes.length }
  }
  const type = 'application/vnd.oci.image'
  const manifest = {
    schemaVersion: 2,
    mediaType: `${type}.manifest.v1+json`,
    config: await blob(Buffer.from(JSON.stringify({ config })), `${type}.config.v1+json`),
    layers: await Promise.all(layers.map((bytes) => blob(bytes, `${type}.layer.v1.tar+gzip`))),
  }
  const answer = await fetch(`${url}/v2/${name}/manifests/1.0`, {
    method: 'PUT',
    headers: { 'content-type': manifest.mediaType },
    body: JSON.stringify(manifest),
  })
  expect(answer.status).toBe(201)
  return answer.headers.get('docker-content-digest') ?? ''
}

/** A layer of files: their texts by path, or the path of a program to copy with its libraries. */
export async function imageLayer(
  directory: string,
  files: Record<string, string>,
  programs: string[] = [],
): Promise<Buffer> {
  const folder = await mkdtemp(join(directory, 'layer-'))
  await chmod(folder, 0o755)
  const root = join(folder, 'root')
  const needed = programs.flatMap((program) => [
    program,
    ...execFileSync('ldd', [program], { encoding: 'utf8' })
      .matchAll(/(\/\S+)/g)
      .map(([path]) => path),
  ])
  for (const path of needed) {
    await mkdir(join(root, dirname(path)), { recursive: true })
    await copyFile(path, join(root, path))
  }
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root, dirname(path)), { recursive: true })
    await writeFile(join(root, path), text, { mode: 0o755 })
  }
  await create({ file: join(folder, 'layer.tar.gz'), gzip: true, cwd: root }, ['.'])
  return readFile(join(folder, 'layer.tar.gz'))
}
