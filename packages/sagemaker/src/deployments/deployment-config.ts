import type {
  AsyncInferenceConfig,
  DataCaptureConfig,
  ProductionVariantServerlessConfig,
  VpcConfig,
} from '@aws-sdk/client-sagemaker'
import { invalid } from '@millrace/api/errors'
import { z } from 'zod'
import type { DeploymentTarget } from './deployment-target.ts'

/** Settings of a deployment by MLflow's keys; undefined where nobody has said anything. */
export interface DeploymentConfig {
  region_name?: string | undefined
  assume_role_arn?: string | undefined
  execution_role_arn?: string | undefined
  bucket?: string | undefined
  image_url?: string | undefined
  mode?: 'create' | 'add' | 'replace' | undefined
  /** Keep what is not in use any more. */
  archive?: boolean | undefined
  synchronous?: boolean | undefined
  timeout_seconds?: number | undefined
  instance_type?: string | undefined
  instance_count?: number | undefined
  vpc_config?: VpcConfig | undefined
  data_capture_config?: DataCaptureConfig | undefined
  variant_name?: string | undefined
  async_inference_config?: AsyncInferenceConfig | undefined
  serverless_config?: ProductionVariantServerlessConfig | undefined
  env?: Record<string, string> | undefined
  tags?: Record<string, string> | undefined
}

const Whole = z
  .string()
  .regex(/^\d{1,9}$/, 'it must be a whole number')
  .transform(Number)
/** Python's spelling, which MLflow's users write, and ours. */
const Bool = z.stringbool({
  truthy: ['true'],
  falsy: ['false'],
  case: 'insensitive',
  error: 'it must be True or False',
})
const Json = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    context.addIssue({ code: 'custom', message: 'it must be a JSON object' })
    return z.NEVER
  }
})
const JsonObject = Json.pipe(z.record(z.string(), z.unknown(), 'it must be a JSON object'))
const Texts = Json.pipe(
  z.record(
    z.string(),
    z.union([z.string(), z.number(), z.boolean()], 'its values must be text').transform(String),
    'it must be a JSON object',
  ),
)

const Config = z.object({
  region_name: z.string().optional(),
  assume_role_arn: z.string().optional(),
  execution_role_arn: z.string().optional(),
  bucket: z.string().optional(),
  image_url: z.string().optional(),
  mode: z.enum(['create', 'add', 'replace'], 'it must be create, add or replace').optional(),
  archive: Bool.optional(),
  synchronous: Bool.optional(),
  timeout_seconds: Whole.optional(),
  instance_type: z.string().optional(),
  instance_count: Whole.optional(),
  vpc_config: JsonObject.optional(),
  data_capture_config: JsonObject.optional(),
  variant_name: z.string().optional(),
  async_inference_config: JsonObject.optional(),
  serverless_config: JsonObject.optional(),
  env: Texts.optional(),
  tags: Texts.optional(),
})

const KEYS = Object.keys(Config.shape)
/** What MLflow's own documentation writes in place of a key. */
const ALIASES: Record<string, string> = { bucket_name: 'bucket' }

/**
 * Parses `key=value` pairs as `-C` takes them (MLflow 3.17 `_user_args_to_dict` and
 * `_apply_custom_config`). The target's region and role hold where the pairs name none.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for a key given twice, an unknown key, and a value of
 * another type
 */
export function parseDeploymentConfig(
  pairs: readonly string[],
  target: DeploymentTarget,
): DeploymentConfig {
  const texts: Record<string, string> = {}
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    if (at < 1) throw invalid(`The setting '${pair}' is not a pair: write -C key=value.`)
    const written = pair.slice(0, at)
    const key = ALIASES[written] ?? written
    if (!KEYS.includes(key)) {
      throw invalid(`There is no setting '${written}': there are ${KEYS.join(', ')}.`)
    }
    if (Object.hasOwn(texts, key)) throw invalid(`Repeated parameter: '${written}'`)
    texts[key] = pair.slice(at + 1)
  }
  const parsed = Config.safeParse(texts)
  if (!parsed.success) {
    const [problem] = parsed.error.issues
    const key = String(problem?.path[0])
    throw invalid(`The setting ${key}=${texts[key]} cannot be used: ${problem?.message}.`)
  }
  // What AWS takes in these objects is AWS's to say: they are sent as they are.
  const config = parsed.data as DeploymentConfig
  return {
    ...config,
    region_name: config.region_name ?? target.region,
    assume_role_arn: config.assume_role_arn ?? target.assumeRoleArn,
  }
}
