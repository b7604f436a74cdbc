#!/usr/bin/env node
'use strict'

var fs = require('fs')
var path = require('path')
var pathToFileURL = require('url').pathToFileURL
var bundle = require('./bundle.cjs')
var launch = require('./launch.cjs')

function start() {
  var sources = path.join(__dirname, '..', 'src', 'main.ts')
  var main = bundle.isCurrent() ? bundle.bundleOf().main : sources
  var node = launch.chooseNode(__dirname)
  var cache = launch.compileCacheFolder(__dirname)
  if (fs.realpathSync(node) === fs.realpathSync(process.execPath)) {
    require('module').enableCompileCache(cache)
    void import(pathToFileURL(main).href)
    return
  }
  var env = Object.assign({ NODE_COMPILE_CACHE: cache }, process.env)
  launch.become(node, [main].concat(process.argv.slice(2)), env)
}

try {
  start()
} catch (error) {
  process.stderr.write(error.message + '\n')
  process.exitCode = 1
}
