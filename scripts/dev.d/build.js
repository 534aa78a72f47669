// From sources to what can be started.
'use strict';

const { spawnSync } = require('node:child_process');
const os = require('node:os');
const path = require('node:path');

const { ROOT } = require('./state');

/** Says what is missing on this machine, and where to get it. */
function checkTools() {
  // rustup asks for a new shell, which nobody opens.
  const cargoBin = path.join(process.env.CARGO_HOME || path.join(os.homedir(), '.cargo'), 'bin');
  process.env.PATH = [process.env.PATH, cargoBin].join(path.delimiter);
  const answers = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
  if (!answers('cargo')) {
    throw new Error('cargo is needed: install Rust from https://rustup.rs');
  }
  if (!answers('npm')) {
    throw new Error('npm is needed: it comes with Node.js, or as a package of its own');
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
