import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { UndeliveredAnswers } from './undelivered.ts'

let server: Server
beforeAll(async () => {
  server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterAll(() => {
  server.close()
})

/** Both ends of a connection over which a request of one byte has come. */
async function openConnection() {
  const accepted = once(server, 'connection')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [socket] = (await accepted) as [Socket]
  socket.on('error', () => {})
  client.on('error', () => {})
  client.write('1')
  await once(socket, 'data')
  return { client, socket }
}

/** Unlike `once`, it is not rejected when the connection breaks. */
function closing(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

let answers: UndeliveredAnswers
let made: number
beforeEach(() => {
  answers = new UndeliveredAnswers()
  made = 0
})
const make = async () => ++made
const request = (socket: Socket, isStamped = false, isKeyed = false) => ({
  key: () => 'create',
  socket,
  isStamped,
  isKeyed,
})

/** Answers a create and has its connection end the way that `end` does. */
async function answerAndEnd(isStamped: boolean, end: (client: Socket) => unknown): Promise<void> {
  const { client, socket } = await openConnection()
  await answers.answer(request(socket, isStamped), make)
  const closed = closing(socket)
  end(client)
  await closed
  client.destroy()
}

/** The same create over a connection of its own. */
async function answerAgain(isStamped = false): Promise<unknown> {
  const { client, socket } = await openConnection()
  const answer = await answers.answer(request(socket, isStamped), make)
  client.destroy()
  return answer
}

test('a create whose connection broke after its answer was sent is given that answer again', async () => {
  await answerAndEnd(false, (client) => client.resetAndDestroy())

  expect(await answerAgain()).toBe(1)
})

test('so is one that says when it was made, however its connection ended', async () => {
  await answerAndEnd(true, (client) => client.end())

  expect(await answerAgain(true)).toBe(1)
})

test('without its time it is done again when the client left in peace', async () => {
  await answerAndEnd(false, (client) => client.end())

  expect(await answerAgain()).toBe(2)
})

test('a connection over which something else was asked had delivered the answer', async () => {
  const { client, socket } = await openConnection()
  await answers.answer(request(socket, true), make)
  client.write('2')
  await once(socket, 'data')
  const closed = closing(socket)
  client.resetAndDestroy()
  await closed

  expect(await answerAgain(true)).toBe(2)
})

test('clients that are both there and ask for the same are given one each', async () => {
  const { client, socket } = await openConnection()
  await answers.answer(request(socket, true), make)

  expect(await answerAgain(true)).toBe(2)
  client.destroy()
})

test('a create that is sent again while the first one is under way waits for it', async () => {
  const { client, socket } = await openConnection()
  const slow = Promise.withResolvers<number>()
  const first = answers.answer(request(socket), () => slow.promise)
  const closed = closing(socket)
  client.end()
  await closed

  const again = answerAgain()
  slow.resolve(7)

  expect([await first, await again]).toEqual([7, 7])
  expect(made).toBe(0)
})

test('a create that failed is tried again', async () => {
  const { client, socket } = await openConnection()
  const first = answers.answer(request(socket), () => Promise.reject(new Error('no')))
  await expect(first).rejects.toThrow('no')
  const closed = closing(socket)
  client.resetAndDestroy()
  await closed

  expect(await answerAgain()).toBe(1)
})

test('a create with a key of its client is done once, though its connection holds', async () => {
  const { client, socket } = await openConnection()
  const ask = (run = make) => answers.answer(request(socket, false, true), run)
  const failing = ask(() => Promise.reject(new Error('no')))
  await expect(failing).rejects.toThrow('no')

  expect([await ask(), await ask(), made]).toEqual([1, 1, 1])
  client.destroy()
})
