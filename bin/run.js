#!/usr/bin/env node
// What an older Node reads first, so without static imports, top-level await and newer operators: Node 12.17 and newer get the sentence
// below. Before that, Node refuses every .js file of an ES module package by itself.
var version = process.versions.node.split('.').map(Number)
if (version[0] < 20 || (version[0] === 20 && version[1] < 19)) {
  console.error('nsb needs Node 20.19 or newer; this is Node ' + process.versions.node + '.')
  process.exitCode = 2
} else void import('./start.js')
