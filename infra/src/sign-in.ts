import { CfnOutput, Duration, RemovalPolicy, type Stack } from 'aws-cdk-lib'
import * as cognito from 'aws-cdk-lib/aws-cognito'
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2'
import * as actions from 'aws-cdk-lib/aws-elasticloadbalancingv2-actions'
import { type StackParameters, uniqueSuffix } from './deployment.ts'
import type { Address } from './entrance.ts'

const SCOPE = 'api'

/** Who may come in: people by a form and a second factor, programs by a token of their own. */
export interface SignIn {
  pool: cognito.UserPool
  /** What the load balancer does with somebody's request in a browser. */
  people: (next: elb.ListenerAction) => elb.ListenerAction
  /** Adds the rule for requests with a token. */
  addPrograms: (listener: elb.ApplicationListener, next: elb.ITargetGroup) => void
}

/**
 * A user pool that nobody signs up to by himself. Programs ask it for a token with the id and the
 * secret of their client, and send it as MLFLOW_TRACKING_TOKEN.
 */
export function addSignIn(
  stack: Stack,
  { projectName }: StackParameters,
  { domainName }: Address,
): SignIn {
  const pool = new cognito.UserPool(stack, 'People', {
    selfSignUpEnabled: false,
    signInAliases: { email: true },
    mfa: cognito.Mfa.REQUIRED,
    mfaSecondFactor: { sms: false, otp: true },
    accountRecovery: cognito.AccountRecovery.EMAIL_ONLY,
    featurePlan: cognito.FeaturePlan.PLUS,
    standardThreatProtectionMode: cognito.StandardThreatProtectionMode.FULL_FUNCTION,
    passwordPolicy: {
      minLength: 14,
      requireDigits: true,
      requireLowercase: true,
      requireUppercase: true,
      requireSymbols: true,
    },
    deletionProtection: true,
    removalPolicy: RemovalPolicy.RETAIN,
  })
  const domain = pool.addDomain('Domain', {
    cognitoDomain: { domainPrefix: `${projectName}-${uniqueSuffix(stack)}` },
  })
  const browsers = pool.addClient('Browsers', {
    generateSecret: true,
    oAuth: {
      flows: { authorizationCodeGrant: true },
      scopes: [cognito.OAuthScope.OPENID, cognito.OAuthScope.EMAIL],
      callbackUrls: [`https://${domainName}/oauth2/idpresponse`],
    },
    preventUserExistenceErrors: true,
  })
  const scope = new cognito.ResourceServerScope({
    scopeName: SCOPE,
    scopeDescription: 'Track experiments',
  })
  const server = pool.addResourceServer('Server', { identifier: 'millrace', scopes: [scope] })
  const programs = pool.addClient('Programs', {
    generateSecret: true,
    oAuth: {
      flows: { clientCredentials: true },
      scopes: [cognito.OAuthScope.resourceServer(server, scope)],
    },
    accessTokenValidity: Duration.hours(12),
  })
  new CfnOutput(stack, 'UserPoolId', { value: pool.userPoolId })
  new CfnOutput(stack, 'TokenUrl', { value: `${domain.baseUrl()}/oauth2/token` })
  new CfnOutput(stack, 'ProgramClientId', { value: programs.userPoolClientId })
  return {
    pool,
    people: (next) =>
      new actions.AuthenticateCognitoAction({
        userPool: pool,
        userPoolClient: browsers,
        userPoolDomain: domain,
        sessionTimeout: Duration.hours(12),
        next,
      }),
    addPrograms: (listener, next) => addTokenRule(stack, listener, next, pool),
  }
}

function addTokenRule(
  stack: Stack,
  listener: elb.ApplicationListener,
  next: elb.ITargetGroup,
  pool: cognito.UserPool,
): void {
  const issuer = `https://cognito-idp.${stack.region}.amazonaws.com/${pool.userPoolId}`
  new elb.CfnListenerRule(stack, 'ProgramsRule', {
    listenerArn: listener.listenerArn,
    priority: 10,
    conditions: [
      {
        field: 'http-header',
        httpHeaderConfig: { httpHeaderName: 'Authorization', values: ['Bearer *'] },
      },
    ],
    actions: [
      {
        type: 'jwt-validation',
        order: 1,
        jwtValidationConfig: {
          issuer,
          jwksEndpoint: `${issuer}/.well-known/jwks.json`,
          additionalClaims: [
            { format: 'space-separated-values', name: 'scope', values: [`millrace/${SCOPE}`] },
          ],
        },
      },
      { type: 'forward', order: 2, targetGroupArn: next.targetGroupArn },
    ],
  })
}

/** The load balancer asks Cognito for keys and sessions, over the internet. */
export function allowSignIn(balancer: elb.ApplicationLoadBalancer): void {
  balancer.connections.allowToAnyIpv4(ec2.Port.tcp(443), 'Cognito, which has no endpoint here')
}
