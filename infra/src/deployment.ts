import { CfnParameter, Fn, type Stack } from 'aws-cdk-lib'

export const PROFILES = ['single', 'standard', 'regulated'] as const
export type Profile = (typeof PROFILES)[number]

export const DATABASES = ['sqlite', 'postgresql', 'mysql'] as const
export type Database = (typeof DATABASES)[number]

/** What is decided when the template is made; everything else is a parameter of the stack. */
export interface Deployment {
  profile: Profile
  /** SQLite only in the profile *single*. */
  database: Database
  /** Who reaches the load balancer of *standard* from the internet; nobody when there are none. */
  allowedCidrs: string[]
}

/** The parameters that every profile has; `ProjectName` is seed 004's. */
export interface StackParameters {
  projectName: string
  image: string
  alarmEmail: string
  monthlyBudget: number
}

/**
 * Checks what was asked for.
 *
 * @throws Error with all that is wrong with it
 */
export function checkDeployment({ profile, database, allowedCidrs }: Deployment): void {
  const wrong: string[] = []
  if (database === 'sqlite' && profile !== 'single') {
    wrong.push(
      `Profile ${profile} may run two servers, which SQLite does not serve: postgresql or mysql.`,
    )
  }
  if (allowedCidrs.length > 0 && profile !== 'standard') {
    wrong.push(
      `Profile ${profile} takes nothing from the internet, so --allowed-cidr has no meaning.`,
    )
  }
  for (const cidr of allowedCidrs) {
    if (!/^(\d{1,3}\.){3}\d{1,3}\/([89]|[12]\d|3[0-2])$/.test(cidr)) {
      wrong.push(`'${cidr}' is not an IPv4 range of /8 or smaller, such as 203.0.113.0/24.`)
    }
  }
  if (wrong.length > 0) throw new Error(wrong.join('\n'))
}

/** Declares the parameters that every profile has. */
export function addParameters(stack: Stack): StackParameters {
  const projectName = new CfnParameter(stack, 'ProjectName', {
    description: 'Name of the project, in front of the names that people see.',
    default: 'mlflow',
    allowedPattern: '^[a-z][a-z0-9-]{1,20}[a-z0-9]$',
  })
  const image = new CfnParameter(stack, 'Image', {
    description: 'The tracker image, best by its digest: HOST/REPOSITORY@sha256:...',
    allowedPattern: '^[A-Za-z0-9.:-]+/[a-z0-9._/-]+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})$',
  })
  const alarmEmail = new CfnParameter(stack, 'AlarmEmail', {
    description: 'Who is told of alarms and of the budget; Amazon asks this address to confirm.',
    allowedPattern: '^[^@ ]+@[^@ ]+$',
  })
  const monthlyBudget = new CfnParameter(stack, 'MonthlyBudget', {
    description: 'US dollars a month for what carries the tag of the project.',
    type: 'Number',
    default: 200,
    minValue: 1,
  })
  return {
    projectName: projectName.valueAsString,
    image: image.valueAsString,
    alarmEmail: alarmEmail.valueAsString,
    monthlyBudget: monthlyBudget.valueAsNumber,
  }
}

/** Eight characters that no other stack of the account has, the same for the life of this one. */
export function uniqueSuffix(stack: Stack): string {
  return Fn.select(0, Fn.split('-', Fn.select(2, Fn.split('/', stack.stackId))))
}
