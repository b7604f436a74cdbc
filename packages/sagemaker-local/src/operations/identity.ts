import { z } from 'zod'
import { createSession, keyOfSession } from '../auth/session-credentials.ts'
import { AwsError } from '../http/aws-error.ts'
import type { AccessKey } from '../plane-settings.ts'
import { type OperationContext, operation } from './operation.ts'
import { RoleArn } from './resource-names.ts'

const SESSION_SECONDS = 3600
const SESSION = 'millrace'
// Made once so that a role looks the same each time it is asked for.
const CREATED = new Date('2026-01-01T00:00:00Z')

/** Everybody is a session of one role, whom everything is allowed: who may come in is up to the keys. */
export const identityOperations = [
  operation({
    service: 'STS',
    name: 'GetCallerIdentity',
    input: z.object({}),
    run({ settings }) {
      return {
        Arn: `arn:aws:sts::${settings.accountId}:assumed-role/${settings.roleName}/${SESSION}`,
        UserId: `${roleId(settings.roleName)}:${SESSION}`,
        Account: settings.accountId,
      }
    },
  }),
  operation({
    service: 'STS',
    name: 'AssumeRole',
    input: z.object({
      RoleArn,
      RoleSessionName: z
        .string()
        .min(2)
        .max(64)
        .regex(/^[\w+=,.@-]*$/),
      DurationSeconds: z.coerce.number().int().min(900).max(43_200).nullish(),
    }),
    run({ settings, accessKeyId }, input) {
      const role = input.RoleArn.split('/').at(-1) ?? settings.roleName
      const expiresMs = Date.now() + (input.DurationSeconds ?? SESSION_SECONDS) * 1000
      const session = sessionOf(settings.accessKeys, accessKeyId ?? '', expiresMs)
      return {
        AssumedRoleUser: {
          AssumedRoleId: `${roleId(role)}:${input.RoleSessionName}`,
          Arn: `arn:aws:sts::${settings.accountId}:assumed-role/${role}/${input.RoleSessionName}`,
        },
        Credentials: {
          AccessKeyId: session?.accessKeyId ?? 'millrace',
          SecretAccessKey: session?.secretAccessKey ?? 'millrace',
          SessionToken: session?.sessionToken ?? 'millrace',
          Expiration: new Date(expiresMs),
        },
      }
    },
  }),
  operation({
    service: 'IAM',
    name: 'GetRole',
    input: z.object({ RoleName: z.string().min(1).max(64) }),
    run(context, { RoleName }) {
      if (!/^[\w+=,.@-]+$/.test(RoleName)) {
        throw new AwsError('NoSuchEntity', `The role with name ${RoleName} cannot be found.`, {
          status: 404,
        })
      }
      return { Role: role(context, RoleName) }
    },
  }),
  operation({
    service: 'IAM',
    name: 'SimulatePrincipalPolicy',
    input: z.object({
      PolicySourceArn: z.string().min(20).max(2048),
      ActionNames: z.array(z.string()).min(1),
      ResourceArns: z.array(z.string()).nullish(),
    }),
    run(_context, input) {
      const resources = input.ResourceArns ?? ['*']
      return {
        EvaluationResults: input.ActionNames.flatMap((EvalActionName) =>
          resources.map((EvalResourceName) => ({
            EvalActionName,
            EvalResourceName,
            EvalDecision: 'allowed',
            MatchedStatements: [],
            MissingContextValues: [],
          })),
        ),
        IsTruncated: false,
      }
    },
  }),
]

/** A session of the key that has signed the request, itself or by a session. */
function sessionOf(keys: AccessKey[], accessKeyId: string, expiresMs: number) {
  const key = keys.find((own) => own.accessKeyId === accessKeyId) ?? keyOfSession(keys, accessKeyId)
  return key && createSession(key, expiresMs)
}

function role({ settings }: OperationContext, RoleName: string) {
  const trust = {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { Service: 'sagemaker.amazonaws.com' },
        Action: 'sts:AssumeRole',
      },
    ],
  }
  return {
    Path: '/',
    RoleName,
    RoleId: roleId(RoleName),
    Arn: `arn:aws:iam::${settings.accountId}:role/${RoleName}`,
    CreateDate: CREATED,
    AssumeRolePolicyDocument: encodeURIComponent(JSON.stringify(trust)),
    MaxSessionDuration: SESSION_SECONDS,
  }
}

/** An id in the form of IAM's, made of the name. */
function roleId(name: string): string {
  const letters = Buffer.from(name)
    .toString('hex')
    .toUpperCase()
    .replace(/[^A-Z2-7]/g, '7')
  return `AROA${letters.padEnd(17, 'A').slice(0, 17)}`
}
