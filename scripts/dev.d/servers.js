// The origin and the edge, started and waited for.
'use strict';

const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { darkroom } = require('./build');
const { ROOT } = require('./state');

/** Loading the model takes a second, starting workerd three. */
const START_LIMIT_MS = 120_000;

/** The port asked for, or a free one for 0; an error where it is taken. */
function freePort(port, option) {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.on('error', (error) => {
      const taken = `port ${port} is taken: choose another with ${option}`;
      reject(error.code === 'EADDRINUSE' ? new Error(taken) : error);
    });
    probe.listen(port, '127.0.0.1', () => {
      const found = probe.address().port;
      probe.close(() => resolve(found));
    });
  });
}

async function startOrigin(children, state, setup) {
  const unlessSet = {
    DARKROOM_PUBLIC_URL: setup.edgeUrl,
    DARKROOM_DATA_DIR: state.file('data'),
    DARKROOM_MODEL: path.join(ROOT, 'origin', 'demo-model'),
  };
  const environment = {
    ...unlessSet,
    ...process.env,
    DARKROOM_LISTEN: `127.0.0.1:${setup.ports.origin}`,
    DARKROOM_ORIGIN_SECRETS: setup.secrets,
  };
  const log = state.file('origin.log');
  const server = children.serve('origin', darkroom(), ['serve'], environment, log);
  await ready(server, `${setup.originUrl}/readyz`);
}

async function startEdge(children, state, setup) {
  // Fresh at every start: what the edge has kept may be of pictures that are gone.
  const folder = state.file('edge');
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  fs.writeFileSync(path.join(folder, 'wrangler.toml'), builtConfig());
  // A file rather than arguments, which every user of the machine can read.
  const values = {
    ORIGIN_URL: setup.originUrl,
    ORIGIN_SECRETS: setup.secrets,
    ADMIN_KEY_SHA256: setup.key.digest,
    SIGNING_KEYS: setup.signingKeys,
    // One domain for both, so that public and private addresses begin alike.
    CLOUDFRONT_DOMAIN: process.env.AWS_CLOUDFRONT_DOMAIN || '',
    ALLOWED_NETWORKS: process.env.DARKROOM_ALLOWED_NETWORKS || '',
    // Nobody who tries things on their own machine is to meet these.
    RATE_PER_MINUTE: '1000000',
    DAILY_IMAGES: '1000000',
  };
  const lines = Object.entries(values).map(([name, value]) => `${name}=${quoted(value)}\n`);
  fs.writeFileSync(path.join(folder, '.dev.vars'), lines.join(''), { mode: 0o600 });

  const wrangler = path.join(ROOT, 'node_modules', 'wrangler', 'bin', 'wrangler.js');
  const args = [
    wrangler,
    'dev',
    ...['--config', path.join(folder, 'wrangler.toml')],
    ...['--ip', '127.0.0.1', '--port', String(setup.ports.edge), '--inspector-port', '0'],
    ...['--persist-to', path.join(folder, 'state')],
    ...['--show-interactive-dev-session', 'false'],
  ];
  const environment = {
    CI: 'true',
    NO_COLOR: '1',
    // Neither reports, nor a look for a newer version, nor for this machine's place on the map.
    WRANGLER_SEND_METRICS: 'false',
    WRANGLER_SEND_ERROR_REPORTS: 'false',
    WRANGLER_HIDE_BANNER: 'true',
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    // Two runs at once must not find each other, nor anything be left in the home folder.
    WRANGLER_REGISTRY_PATH: path.join(folder, 'registry'),
    WRANGLER_LOG_PATH: path.join(folder, 'logs'),
  };
  const log = state.file('edge.log');
  const server = children.serve('edge', process.execPath, args, environment, log);
  await ready(server, `${setup.edgeUrl}/readyz`);
}

/** A value that the reader of .dev.vars takes as it is, whatever is in it. */
function quoted(value) {
  const quote = ["'", '"', '`'].find((mark) => !value.includes(mark));
  if (quote === undefined) {
    throw new Error('a secret holds all three kinds of quotes');
  }
  return `${quote}${value}${quote}`;
}

/** wrangler.toml without its build, which has been done, and its shield, and with the way to what was
    built and to the pages. */
function builtConfig() {
  const text = fs.readFileSync(path.join(ROOT, 'wrangler.toml'), 'utf8');
  const main = path.join(ROOT, 'edge', 'build', 'index.js');
  const pages = path.join(ROOT, 'edge', 'ui');
  return text
    .replace(/^main = .*$/m, `main = ${JSON.stringify(main)}`)
    .replace(/^directory = .*$/m, `directory = ${JSON.stringify(pages)}`)
    .replace(/^\[build\]\n(?:(?!\[).*\n)*/m, '')
    .replace(/^\[\[ratelimits\]\]\n(?:(?!\[).*\n)*/m, '');
}

/** Waits until an address answers 200, or the server has ended. */
async function ready(server, url) {
  const deadline = Date.now() + START_LIMIT_MS;
  let last = 'no answer';
  while (Date.now() < deadline) {
    if (server.over !== undefined) {
      throw new Error(server.over);
    }
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
      if (response.ok) {
        return;
      }
      last = `${response.status}: ${await response.text()}`;
    } catch (error) {
      last = error.message;
    }
    await sleep(100);
  }
  throw new Error(`the ${server.name} is not ready after ${START_LIMIT_MS / 1000} s (${last})`);
}

module.exports = { freePort, startEdge, startOrigin };
