// From sources to what can be started.
'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const { ROOT } = require('./state');

/** Says what is missing on this machine, and where to get it. */
function checkTools() {
  const [major] = process.versions.node.split('.').map(Number);
  if (major < 20) {
    throw new Error(`Node.js 20 or newer is needed; this is ${process.version}`);
  }
  const answers = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
  if (!answers('cargo')) {
    throw new Error('cargo is needed: install Rust from https://rustup.rs');
  }
  if (!answers(process.env.CC || 'cc')) {
    throw new Error('a C compiler is needed: cc does not answer (gcc or clang, from your system)');
  }
}

/** Installs node's tools and compiles origin and edge: seconds where nothing has changed. */
async function build(children) {
  await children.run(path.join(ROOT, 'scripts', 'node-tools'), []);
  await children.run(path.join(ROOT, 'scripts', 'build'), []);
}

/** The compiled command line. */
function darkroom() {
  const found = spawnSync(path.join(ROOT, 'scripts', 'target-dir'), { encoding: 'utf8' });
  if (found.status !== 0) {
    throw new Error(`scripts/target-dir failed: ${found.stderr}`);
  }
  return path.join(found.stdout.trim(), 'debug', 'darkroom');
}

module.exports = { build, checkTools, darkroom };
