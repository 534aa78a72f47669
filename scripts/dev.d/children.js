// The processes that were started, and their end.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');

/** How long a process may take to end by itself. The origin finishes a step before it does. */
const GRACE_MS = 25_000;
/** How long the remains of a killed group may take to be cleared away. */
const CLEARED_MS = 3_000;

class Children {
  #running = new Set();
  #servers = [];
  #stopping = false;

  /** Runs a command to its end, on this terminal. Fails where the command does. */
  async run(command, args, environment = {}) {
    const child = this.#spawn(command, args, environment, ['ignore', 'inherit', 'inherit']);
    const end = await child.ended;
    if (end !== 'ended with 0') {
      throw new Error(`${command} ${args.join(' ')} ${end}`);
    }
  }

  /** Starts a server that writes to a log. */
  serve(name, command, args, environment, log) {
    const out = fs.openSync(log, 'w', 0o600);
    const child = this.#spawn(command, args, environment, ['ignore', out, out]);
    fs.closeSync(out);
    const server = { name, log, over: undefined };
    server.end = child.ended.then((end) => {
      server.over = `the ${name} ${end}; the end of ${log}:\n${tail(log)}`;
      return server.over;
    });
    this.#servers.push(server);
    return server;
  }

  /** Resolves with a sentence when any server ends. */
  firstEnd() {
    return Promise.race(this.#servers.map((server) => server.end));
  }

  /** Ends all there are, and everything that they started. */
  async stop() {
    this.#stopping = true;
    await Promise.all([...this.#running].map((child) => this.#end(child)));
  }

  #spawn(command, args, environment, stdio) {
    if (this.#stopping) {
      throw new Error('stopping');
    }
    const env = { ...process.env, ...environment };
    // A group of its own, so that the group can be ended whole, by its id.
    const child = spawn(command, args, { env, stdio, detached: true });
    child.ended = new Promise((resolve) => {
      child.on('error', (error) => resolve(`did not start: ${error.message}`));
      child.on('exit', (code, signal) => resolve(`ended with ${signal ?? code}`));
    });
    this.#running.add(child);
    // The group may outlive its first process; a server's is kept, to be ended whole.
    if (stdio[1] === 'inherit') {
      child.ended.then(() => this.#running.delete(child));
    }
    return child;
  }

  async #end(child) {
    signalGroup(child, 'SIGTERM');
    await Promise.race([child.ended, sleep(GRACE_MS, undefined, { ref: false })]);
    // wrangler ends at once and leaves its own children behind.
    signalGroup(child, 'SIGKILL');
    await child.ended;
    const deadline = Date.now() + CLEARED_MS;
    while (signalGroup(child, 0) && Date.now() < deadline) {
      await sleep(20);
    }
  }
}

/** Signals a child and all that it started; false where none of them is left. */
function signalGroup(child, signal) {
  if (child.pid === undefined) {
    return false;
  }
  try {
    return process.kill(-child.pid, signal);
  } catch (error) {
    // EPERM is what macOS says of a group of which nothing but dead entries is left.
    if (error.code !== 'ESRCH' && error.code !== 'EPERM') {
      throw error;
    }
    return false;
  }
}

function tail(log) {
  return fs.readFileSync(log, 'utf8').trimEnd().split('\n').slice(-20).join('\n');
}

module.exports = { Children };
