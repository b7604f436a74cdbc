import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { zipOf } from '../test/zip-writer.ts'
import { fetchProject } from './project-source.ts'
import { unpackZip } from './zip-source.ts'

let folder: string
let temporary: string
const TMPDIR = process.env['TMPDIR']
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'millrace-source-')))
  temporary = join(folder, 'tmp')
  await mkdir(temporary)
  process.env['TMPDIR'] = temporary
})
afterEach(async () => {
  if (TMPDIR === undefined) delete process.env['TMPDIR']
  else process.env['TMPDIR'] = TMPDIR
  await rm(folder, { recursive: true })
})

const environment = { ...process.env, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' }
const options = { environment, signal: new AbortController().signal, log: () => {} }
const fetched = (uri: string, version?: string) => fetchProject(uri, version, options)

function git(...args: string[]): string {
  const identity = [
    '-c',
    'user.name=a',
    '-c',
    'user.email=a@b.example',
    '-c',
    'commit.gpgsign=false',
  ]
  return execFileSync('git', [...identity, '-C', join(folder, 'repo'), ...args], {
    env: environment,
    encoding: 'utf8',
  }).trim()
}

/** A repository with two commits on `main`, a branch `side`, a tag `v1`, and a subdirectory. */
async function makeRepository(): Promise<string> {
  const repo = join(folder, 'repo')
  await mkdir(join(repo, 'steps', 'one'), { recursive: true })
  execFileSync('git', ['init', '-q', '-b', 'main', repo], { env: environment })
  const commit = async (text: string) => {
    await writeFile(join(repo, 'steps', 'one', 'MLproject'), `name: ${text}`)
    git('add', '-A')
    git('commit', '-q', '-m', text)
  }
  await commit('first')
  git('tag', 'v1')
  git('checkout', '-q', '-b', 'side')
  await commit('side')
  git('checkout', '-q', 'main')
  await commit('second')
  git('remote', 'add', 'origin', 'https://user:secret@git.example/team/repo.git')
  return repo
}

const projectName = (directory: string) => readFile(join(directory, 'MLproject'), 'utf8')

describe('a directory', () => {
  test('is used where it is, and outside of a repository has only its path', async () => {
    const { directory, source } = await fetched(folder)

    expect({ directory, source }).toEqual({ directory: folder, source: { name: folder } })
  })

  test('may be a file URI, with blanks in it', async () => {
    await mkdir(join(folder, 'a b'))
    const { directory, source } = await fetched(`file://${folder}/a%20b`)

    expect({ directory, source }).toEqual({
      directory: join(folder, 'a b'),
      source: { name: join(folder, 'a b') },
    })
  })

  test('of a repository is named by it, and its remote is shown without the password', async () => {
    const repo = await makeRepository()
    const { source } = await fetched(join(repo, 'steps', 'one'))

    expect(source).toEqual({
      name: `file://${repo}#steps/one`,
      commit: git('rev-parse', 'HEAD'),
      repositoryUrl: 'https://git.example/team/repo.git',
    })
  })

  test('that does not exist, or whose subdirectory leads out of it, is refused', async () => {
    await mkdir(join(folder, 'inside'))
    execFileSync('ln', ['-s', '/', join(folder, 'inside', 'out')])

    await expect(fetched(join(folder, 'none'))).rejects.toThrow(/There is no project at/)
    await expect(fetched(`${folder}/inside#../tmp`)).rejects.toThrow(/'\.' is not allowed/)
    await expect(fetched(`${folder}/inside#out`)).rejects.toThrow(/Could not find subdirectory out/)
  })
})

describe('a repository', () => {
  test.each(['side', 'v1', 'COMMIT', 'SHORT'])('gives version %s', async (named) => {
    const repo = await makeRepository()
    const commit = git('rev-parse', named === 'side' || named === 'v1' ? named : 'main~1')
    const version = { COMMIT: commit, SHORT: commit.slice(0, 9) }[named] ?? named
    const before = git('rev-parse', 'HEAD')
    await using project = await fetched(`${repo}#steps/one`, version)

    expect(await projectName(project.directory)).toBe(
      named === 'side' ? 'name: side' : 'name: first',
    )
    expect(project.source).toEqual({
      name: `${repo}#steps/one`,
      commit,
      repositoryUrl: 'https://git.example/team/repo.git',
      ...(named === 'side' && { branch: 'side' }),
    })
    expect(git('rev-parse', 'HEAD')).toBe(before)
  })

  test('that is bare is fetched at its HEAD, and removed when it is disposed', async () => {
    const repo = await makeRepository()
    execFileSync('git', ['clone', '-q', '--bare', repo, join(folder, 'bare.git')])
    {
      await using project = await fetched(`file://${folder}/bare.git#steps/one`)
      expect(await projectName(project.directory)).toBe('name: second')
    }
    expect(await readdir(temporary)).toEqual([])
  })

  test('without that version is refused, and nothing is left', async () => {
    const repo = await makeRepository()

    await expect(fetched(repo, 'none')).rejects.toThrow(/Unable to checkout version 'none'/)
    expect(await readdir(temporary)).toEqual([])
  })

  test("runs no program that the repository's settings name", async () => {
    const repo = await makeRepository()
    const canary = join(folder, 'CANARY')
    git('config', 'core.fsmonitor', `touch ${canary};`)
    await writeFile(join(repo, '.git', 'hooks', 'post-checkout'), `touch ${canary}`, {
      mode: 0o755,
    })

    await fetched(join(repo, 'steps', 'one'))
    await using _ = await fetched(repo, 'side')

    expect(existsSync(canary)).toBe(false)
  })

  test('may not name files of this machine as its submodules', async () => {
    const repo = await makeRepository()
    git('-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', repo, 'inner')
    git('commit', '-q', '-m', 'inner')

    await expect(fetched(repo, 'main')).rejects.toThrow(/submodules of .* cannot be fetched/)
  })

  test.each([
    '--upload-pack=touch CANARY',
    'ext::touch% CANARY',
    'ext::sh -c touch% CANARY',
    'fd::7',
    'ssh://-oProxyCommand=touch CANARY/x',
    'ssh://git@-oProxyCommand=touch/x',
    '-oProxyCommand=touch@host:x',
    'git@-oProxyCommand=x:y',
    'https://git.example/a\n--upload-pack=x',
    'data:text/plain,x',
  ])('%j is no git URL and starts nothing', async (uri) => {
    await expect(fetched(uri)).rejects.toThrow(/There is no project at/)
    expect(await readdir(folder)).toEqual(['tmp'])
  })

  test.each(['--upload-pack=touch CANARY', '-q', 'a:b', '+main', 'a..b', 'main^', 'a b', '@{u}'])(
    'version %j is refused',
    async (version) => {
      const repo = await makeRepository()

      await expect(fetched(repo, version)).rejects.toThrow(/is no commit, branch or tag/)
    },
  )

  test('at an address where none answers is refused in a sentence', async () => {
    await expect(fetched('http://127.0.0.1:9/team/repo.git', 'main')).rejects.toMatchObject({
      code: 'INVALID_PARAMETER_VALUE',
      message: expect.stringMatching(
        /^Unable to checkout version 'main' of git repo .*127\.0\.0\.1/,
      ),
    })
  })
})

describe('a zip file', () => {
  const PROJECT = [
    { name: 'steps/', text: '' },
    { name: 'steps/MLproject', text: 'name: zipped' },
    { name: 'steps/run.bin', text: 'x', mode: 0o100755 },
  ]

  test('is unpacked, from this machine or by HTTP, and removed when it is disposed', async () => {
    const file = join(folder, 'project.zip')
    await writeFile(file, zipOf(PROJECT))
    const server = createServer((_request, response) => response.end(zipOf(PROJECT)))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
    const { port } = server.address() as AddressInfo
    for (const uri of [file, `file://${file}`, `http://127.0.0.1:${port}/project.zip`]) {
      await using project = await fetched(`${uri}#steps`)
      expect(await projectName(project.directory)).toBe('name: zipped')
    }
    server.close()
    expect(await readdir(temporary)).toEqual([])
  })

  test.each([
    [[{ name: '../CANARY', text: 'x' }]],
    [[{ name: 'a/../../CANARY', text: 'x' }]],
    [[{ name: '/tmp/CANARY', text: 'x' }]],
    [[{ name: 'a\\..\\..\\CANARY', text: 'x' }]],
    [[{ name: 'C:/CANARY', text: 'x' }]],
    [
      [
        { name: 'link', text: '..', mode: 0o120777 },
        { name: 'link/CANARY', text: 'x' },
      ],
    ],
    [[{ name: 'device', text: '', mode: 0o020666 }]],
    [
      [
        { name: 'twice', text: 'a' },
        { name: 'twice', text: 'b' },
      ],
    ],
    [
      [
        { name: 'file', text: 'a' },
        { name: 'file/below', text: 'b' },
      ],
    ],
  ])('with %j is refused, and nothing is left', async (entries) => {
    const file = join(folder, 'project.zip')
    await writeFile(file, zipOf(entries))

    await expect(fetched(file)).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' })
    expect((await readdir(folder)).sort()).toEqual(['project.zip', 'tmp'])
    expect(await readdir(temporary)).toEqual([])
  })

  test('is bounded in entries and in bytes as they come out', async () => {
    const file = join(folder, 'project.zip')
    const target = join(folder, 'target')
    await mkdir(target)
    await writeFile(file, zipOf([{ name: 'zeros', text: '0'.repeat(100_000) }]))

    await expect(unpackZip(file, target, { entriesMax: 1, bytesMax: 99_999 })).rejects.toThrow(
      /holds more than 99999 bytes/,
    )
    await expect(unpackZip(file, target, { entriesMax: 0, bytesMax: 1 })).rejects.toThrow(
      /has 1 entries, and 0 may be/,
    )
  })

  test('that is none, or is not there, is refused in a sentence', async () => {
    const file = join(folder, 'project.zip')
    await writeFile(file, 'no zip')

    await expect(fetched(file)).rejects.toThrow(/project\.zip cannot be unpacked/)
    await expect(fetched('http://127.0.0.1:9/a.zip')).rejects.toThrow(/Unable to retrieve ZIP file/)
  })
})
