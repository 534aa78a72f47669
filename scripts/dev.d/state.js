// The folder for whatever is kept between runs, and for what others may read during one.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '..', '..');

class State {
  #folder = path.resolve(process.env.DARKROOM_DEV_DIR || path.join(ROOT, '.dev'));
  #isOurs = false;

  file(name) {
    return path.join(this.#folder, name);
  }

  /** Takes the folder for this process. */
  open() {
    fs.mkdirSync(this.#folder, { recursive: true });
    const lock = this.file('pid');
    const other = Number(readIfThere(lock));
    if (other && other !== process.pid && isAlive(other) && isDev(other)) {
      throw new Error(
        `process ${other} is running on ${this.#folder}: end it, or set DARKROOM_DEV_DIR`,
      );
    }
    fs.writeFileSync(lock, `${process.pid}\n`);
    this.#isOurs = true;
    fs.rmSync(this.file('env'), { force: true });
  }

  /** Gives the folder back. */
  close() {
    if (this.#isOurs) {
      fs.rmSync(this.file('env'), { force: true });
      fs.rmSync(this.file('pid'), { force: true });
    }
  }

  /** Writes `env`, which shells can source; whole or not at all. */
  writeEnvironment(values) {
    const lines = Object.entries(values).map(([name, value]) => `${name}=${value}\n`);
    const fresh = this.file('env.new');
    fs.writeFileSync(fresh, lines.join(''), { mode: 0o600 });
    fs.renameSync(fresh, this.file('env'));
  }
}

function readIfThere(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') {
      return '';
    }
    throw error;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** After a crash or a restart the id may be another program's by now. */
function isDev(pid) {
  try {
    const words = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words.some((word) => path.basename(word) === 'dev');
  } catch {
    // Not Linux: better to refuse once too often.
    return true;
  }
}

module.exports = { ROOT, State };
