import { REFUSED_OPTIONS, SERVER_OPTIONS, type ServerOption } from './server-options.ts'

/** `docs/configuration.md`, made from the table of settings. */
export function configurationPage(): string {
  const used = SERVER_OPTIONS.filter(({ ignoredBecause }) => ignoredBecause === undefined)
  const ignored = SERVER_OPTIONS.filter(({ ignoredBecause }) => ignoredBecause !== undefined)
  return `# Configuration

Settings of \`millrace server\` (and \`millrace ui\`, which is the same). A flag wins over the
environment; of several variables the first one that is set wins. The server names everything that
is wrong with them at once, and does not start.

| flag | environment | default | meaning |
|---|---|---|---|
${used.map(row).join('\n')}

## Flags of MLflow that change nothing here

They are taken, so that scripts keep working, and each is answered with one line.

| flag | why it is not used |
|---|---|
${ignored.map((option) => `| ${flag(option)} | ${option.ignoredBecause} |`).join('\n')}

## Flags of MLflow that are refused

They would promise something that this server does not do.

| flag | why |
|---|---|
${Object.entries(REFUSED_OPTIONS)
  .map(([name, reason]) => `| \`--${name}\` | ${reason} |`)
  .join('\n')}
`
}

function row(option: ServerOption): string {
  const env = option.env.map((name) => `\`${name}\``).join(', ')
  const byDefault = option.defaultsTo ? `\`${option.defaultsTo}\`` : ''
  return `| ${flag(option)} | ${env} | ${byDefault} | ${option.describe} |`
}

function flag(option: ServerOption): string {
  const { name, short, value, isNegatable, isValueOptional, isFromEnvironmentOnly } = option
  if (isFromEnvironmentOnly) return 'none'
  const long = isNegatable ? `\`--${name}\`, \`--no-${name}\`` : `\`--${name}\``
  return `${short ? `\`-${short}\`, ` : ''}${long}${value ? ` ${isValueOptional ? `[${value}]` : value}` : ''}`
}
