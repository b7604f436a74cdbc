import { mkdir, writeFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  type CreateModelCommandInput,
  DescribeEndpointCommand,
  type ProductionVariant,
  SageMakerClient,
  type Tag,
} from '@aws-sdk/client-sagemaker'
import { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime'
import { create } from 'tar'
import type { TestPlane } from './start-test-plane.ts'

export const ROLE = 'arn:aws:iam::123456789012:role/MillraceSageMakerRole'
export const BUCKET = 'models'

/**
 * A program `serve` that answers with what it was asked, or with `LINES` with each line; bodies that
 * begin with `fail`, `exit`, `sleep`, `large`, `parts` and `break` do what they say, and `reach` says
 * what a connection to a port of this machine came to. `NAME` tells one from another; `PING`, `LISTEN` and
 * `CRASH` make it ill.
 */
const SERVE = `#!/usr/bin/env python3
import http.server, json, os, socket, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, status, body, extra={}):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in extra.items(): self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(int(os.environ.get("PING", "200")), b"")
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        text = body.decode("utf-8", "replace")
        if text.startswith("fail"):
            return self.answer(400, b"that is no input")
        if text.startswith("exit"):
            os._exit(3)
        if text.startswith("sleep"):
            time.sleep(600)
        if text.startswith("large"):
            return self.answer(200, b"x" * int(text.split()[1]))
        if text.startswith(("parts", "break")):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", "100" if text == "break" else "8")
            self.end_headers()
            self.wfile.write(b"one ")
            if text == "parts":
                while not os.path.exists("/tmp/next"): time.sleep(0.01)
                self.wfile.write(b"two ")
            self.close_connection = True
            return
        if text.startswith("next"):
            open("/tmp/next", "w").close()
        if text.startswith("reach"):
            found = socket.socket().connect_ex(("127.0.0.1", int(text.split()[1])))
            return self.answer(200, json.dumps({"errno": found}).encode())
        if os.environ.get("LINES"):
            lines = text.split()
            return self.answer(200, "\\n".join("%s of %d" % (line.upper(), len(lines)) for line in lines).encode())
        model = os.listdir("/opt/ml/model") if os.path.isdir("/opt/ml/model") else []
        told = {"name": os.environ.get("NAME"), "body": text[:100], "bytes": len(body), "pid": os.getpid(),
                "port": os.environ["SAGEMAKER_BIND_TO_PORT"], "model": sorted(model),
                "type": self.headers.get("Content-Type"), "accept": self.headers.get("Accept"),
                "secret": os.environ.get("MILLRACE_TEST_SECRET")}
        attributes = self.headers.get("X-Amzn-SageMaker-Custom-Attributes")
        extra = {"X-Amzn-SageMaker-Custom-Attributes": attributes} if attributes else {}
        self.answer(200, json.dumps(told).encode(), extra)
    def log_message(self, *args): pass

print("serve begins", flush=True)
if os.environ.get("CRASH"):
    print("there is no model to load", file=sys.stderr)
    sys.exit(7)
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
if os.environ.get("LISTEN") == "no":
    time.sleep(600)
Server(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
`

/** What a test of endpoints works with. */
export interface ServingClients {
  sagemaker: SageMakerClient
  runtime: SageMakerRuntimeClient
  s3: S3Client
  /** Stands for a folder with the program above. */
  image: string
  /** Makes a model, with model data unless told otherwise. */
  createModel(
    name: string,
    environment?: Record<string, string>,
    more?: Partial<CreateModelCommandInput>,
  ): Promise<void>
  createConfig(name: string, variants: Partial<ProductionVariant>[]): Promise<void>
  createEndpoint(name: string, config: string, tags?: Tag[]): Promise<void>
  /** Waits until an endpoint is no longer changing. */
  settled(name: string): Promise<{ status: string; reason: string; config: string }>
}

/** Clients of a plane, with a bucket, a model archive and an image in it. */
export async function startServing(
  plane: Pick<TestPlane, 'client' | 'directory'>,
): Promise<ServingClients> {
  const sagemaker = new SageMakerClient(plane.client)
  const runtime = new SageMakerRuntimeClient(plane.client)
  const s3 = new S3Client({ ...plane.client, forcePathStyle: true })
  const folder = `${plane.directory}-image`
  await mkdir(folder, { recursive: true })
  await writeFile(`${folder}/serve`, SERVE, { mode: 0o755 })
  await mkdir(`${folder}/model`, { recursive: true })
  await writeFile(`${folder}/model/weights.txt`, '1 2 3')
  const archive = create({ cwd: `${folder}/model`, sync: true }, ['weights.txt']).read()
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
  await s3.send(
    new PutObjectCommand({
      Bucket: BUCKET,
      Key: 'model.tar.gz',
      Body: gzipSync(archive ?? Buffer.alloc(0)),
    }),
  )
  const image = `local:${folder}`
  return {
    sagemaker,
    runtime,
    s3,
    image,
    async createModel(ModelName, Environment = {}, more = {}) {
      await sagemaker.send(
        new CreateModelCommand({
          ModelName,
          ExecutionRoleArn: ROLE,
          PrimaryContainer: {
            Image: image,
            ModelDataUrl: `s3://${BUCKET}/model.tar.gz`,
            Environment,
          },
          ...more,
        }),
      )
    },
    async createConfig(EndpointConfigName, variants) {
      await sagemaker.send(
        new CreateEndpointConfigCommand({
          EndpointConfigName,
          ProductionVariants: variants.map((variant) => ({
            VariantName: 'AllTraffic',
            ModelName: undefined,
            InstanceType: 'ml.t2.medium',
            InitialInstanceCount: 1,
            InitialVariantWeight: 1,
            ...variant,
          })),
        }),
      )
    },
    async createEndpoint(EndpointName, EndpointConfigName, Tags = []) {
      await sagemaker.send(new CreateEndpointCommand({ EndpointName, EndpointConfigName, Tags }))
    },
    async settled(EndpointName) {
      for (;;) {
        const found = await sagemaker.send(new DescribeEndpointCommand({ EndpointName }))
        const status = found.EndpointStatus ?? ''
        if (!['Creating', 'Updating', 'RollingBack'].includes(status)) {
          return {
            status,
            reason: found.FailureReason ?? '',
            config: found.EndpointConfigName ?? '',
          }
        }
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
  }
}
