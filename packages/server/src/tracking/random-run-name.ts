import { randomInt } from 'node:crypto'

const ADJECTIVES =
  'able agile amber ample bold brave breezy bright brisk calm candid clever cool crisp curious deft eager early fair fancy fast fine fleet fond free fresh gentle glad golden grand happy hardy honest humble jolly keen kind light lively loyal lucid lucky merry mild neat nimble noble patient placid plucky polite prime proud quick quiet rapid ready rosy sharp shiny silent silver smart smooth snug sober solid spry steady sturdy subtle sunny swift tidy tranquil trusty upbeat vivid warm wise witty zesty'.split(
    ' ',
  )
const NOUNS =
  'alder ash aspen badger bay beck birch brook canal cedar cliff cloud coot cove crane creek dale delta dove dune eddy egret elm falcon fen finch fjord ford gorge grove gull harbor hare hawk hazel heron hill inlet isle lagoon lake larch lark leat linnet loch lynx maple marsh marten meadow mill mole moor newt oak osprey otter owl pike pine plover pond poplar quail race rapids reed ridge rill river robin rowan rush salmon shoal shore shrew sluice snipe spring stoat strait stream swan teal tern thrush tide trout vale vole wagtail wave weir wheel willow wren'.split(
    ' ',
  )

/**
 * A name such as `swift-otter-417` for a run that was given none: at most 20 characters, the form
 * of MLflow's own random names.
 */
export function randomRunName(): string {
  const adjective = ADJECTIVES[randomInt(ADJECTIVES.length)]
  const noun = NOUNS[randomInt(NOUNS.length)]
  return `${adjective}-${noun}-${randomInt(1000)}`
}
