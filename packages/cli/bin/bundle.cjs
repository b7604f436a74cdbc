'use strict'

// Loaded by the launcher on every start, whatever Node that is: syntax of Node 12, built-ins only.
var fs = require('fs')
var path = require('path')

var root = path.join(__dirname, '..', '..', '..')

/** Where the bundle of a checkout is. */
function bundleOf(checkout) {
  var folder = path.join(checkout || root, 'packages', 'cli', 'dist', 'bundle')
  return {
    folder: folder,
    main: path.join(folder, 'main.js'),
    stamp: path.join(folder, 'sources.txt'),
  }
}

/**
 * Every file that the bundle is made from, with its size and time of change, as one text. Cheaper
 * than a hash of the contents, because it is compared on every start. Undefined where there are no
 * sources, as in an installed package.
 */
function describeSources(checkout) {
  var from = checkout || root
  if (!fs.existsSync(path.join(from, 'packages', 'cli', 'src'))) return undefined
  var lines = []
  for (var name of fs.readdirSync(path.join(from, 'packages'))) {
    var sources = path.join(from, 'packages', name, 'src')
    if (name !== 'ui' && fs.existsSync(sources)) addFiles(from, sources, lines)
  }
  addFile(from, path.join(from, 'tools', 'build.ts'), lines)
  addFile(from, path.join(from, 'package-lock.json'), lines)
  return lines.join('\n')
}

function addFiles(from, directory, lines) {
  for (var entry of fs.readdirSync(directory, { withFileTypes: true })) {
    var file = path.join(directory, entry.name)
    if (entry.isDirectory()) addFiles(from, file, lines)
    else if (!entry.name.endsWith('.test.ts')) addFile(from, file, lines)
  }
}

function addFile(from, file, lines) {
  var stat = fs.statSync(file)
  lines.push(path.relative(from, file) + ' ' + stat.size + ' ' + stat.mtimeMs)
}

/** Whether the bundle is there and made from the sources as they are. */
function isCurrent(checkout) {
  var bundle = bundleOf(checkout)
  if (!fs.existsSync(bundle.stamp)) return false
  var sources = describeSources(checkout)
  return sources === undefined || sources === fs.readFileSync(bundle.stamp, 'utf8')
}

module.exports = {
  bundleOf: bundleOf,
  describeSources: describeSources,
  isCurrent: isCurrent,
}
