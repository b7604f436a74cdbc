'use strict'

// Any Node may start these files, also one far too old for the rest: keep to syntax of Node 12.
var childProcess = require('child_process')
var fs = require('fs')
var path = require('path')

/** The oldest Node that runs Millrace: it strips types from TypeScript without a flag. */
var OLDEST_NODE = [22, 18]

function isNewEnough(version) {
  var parts = version.replace(/^v/, '').split('.').map(Number)
  return parts[0] > OLDEST_NODE[0] || (parts[0] === OLDEST_NODE[0] && parts[1] >= OLDEST_NODE[1])
}

/** Says why a Node cannot be used, and what to do, in one sentence. */
function tooOld(version, file) {
  return (
    'Millrace needs Node ' +
    OLDEST_NODE.join('.') +
    ' or newer and got ' +
    version +
    ' (' +
    file +
    '): install Node 24, or set MILLRACE_NODE to the path of one.'
  )
}

/** The Node binary that npm installed beside the project's packages; undefined where there is none. */
function installedNode(from) {
  var name = 'node-' + process.platform + '-' + process.arch
  for (var folder = from; ; folder = path.dirname(folder)) {
    var file = path.join(folder, 'node_modules', name, 'bin', 'node')
    if (fs.existsSync(file)) return file
    if (folder === path.dirname(folder)) return undefined
  }
}

/**
 * The Node to run Millrace with: MILLRACE_NODE, else the project's own, else the running one.
 * Throws with one sentence when what it finds is too old.
 */
function chooseNode(from) {
  var named = process.env.MILLRACE_NODE
  if (named) {
    var answer = childProcess.spawnSync(named, ['--version'], { encoding: 'utf8' })
    if (answer.error) {
      throw new Error('MILLRACE_NODE is ' + named + ', which does not run: ' + answer.error.message)
    }
    if (!isNewEnough(answer.stdout.trim())) throw new Error(tooOld(answer.stdout.trim(), named))
    return named
  }
  var installed = installedNode(from)
  if (installed) return installed
  if (!isNewEnough(process.version)) throw new Error(tooOld(process.version, process.execPath))
  return process.execPath
}

/** Becomes `file args`: the same process where the running Node can, else a child that it waits for. */
function become(file, args, env) {
  if (typeof process.execve === 'function' && process.platform !== 'win32') {
    process.execve(file, [file].concat(args), env)
    return
  }
  var child = childProcess.spawn(file, args, { stdio: 'inherit', env: env })
  var forwarded = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGUSR2']
  forwarded.forEach(function (signal) {
    process.on(signal, function () {
      // A terminal has already sent ^C to the child, and a second one would mean "at once".
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  })
  child.on('error', function (error) {
    process.stderr.write('Millrace could not start ' + file + ': ' + error.message + '\n')
    process.exitCode = 1
  })
  child.on('exit', function (code, signal) {
    if (!signal) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

/** Where Node keeps compiled scripts between starts, which halves the time to start. */
function compileCacheFolder(from) {
  for (var folder = from; folder !== path.dirname(folder); folder = path.dirname(folder)) {
    var modules = path.join(folder, 'node_modules')
    if (fs.existsSync(modules)) return path.join(modules, '.cache', 'millrace')
  }
  return undefined
}

module.exports = {
  become: become,
  chooseNode: chooseNode,
  compileCacheFolder: compileCacheFolder,
}
