import { createServer } from 'node:http'

/** Answers `{}` to everything once the body has arrived: `node bench/echo-server.ts <port>`. */
const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 2 })
    response.end('{}')
  })
})
server.listen(Number(process.argv[2]), '127.0.0.1', 1024)
