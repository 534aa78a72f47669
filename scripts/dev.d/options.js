// What the command line says.
'use strict';

const { parseArgs } = require('node:util');

const HELP = `Builds Darkroom and runs all of it on this machine.

  scripts/dev                        stays up until Ctrl-C
  scripts/dev --once PROMPT -o FILE  makes one picture and ends

  --edge-port N     the edge's port (8787); 0 takes a free one
  --origin-port N   the origin's port (8788); 0 takes a free one
  -o, --output FILE where --once puts its picture: .png, .webp or .jpg
  --help            this

State (logs, database, pictures, the file "env") is in .dev, or where DARKROOM_DEV_DIR says.
Whatever begins with AWS_ or DARKROOM_, and DATABASE_URL, reaches the origin; AWS_CLOUDFRONT_DOMAIN
and SIGNING_KEYS (in place of a pair made for the run) reach the edge.
`;

const FORMATS = { '.png': 'png', '.webp': 'webp', '.jpg': 'jpeg', '.jpeg': 'jpeg' };

function readOptions(args) {
  try {
    return read(args);
  } catch (error) {
    process.stderr.write(`dev: ${error.message}\n(scripts/dev --help says what there is)\n`);
    return process.exit(2);
  }
}

function read(args) {
  const { values } = parseArgs({
    args,
    options: {
      'edge-port': { type: 'string', default: '8787' },
      'origin-port': { type: 'string', default: '8788' },
      once: { type: 'string' },
      output: { type: 'string', short: 'o' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  if ((values.once === undefined) !== (values.output === undefined)) {
    throw new Error('--once PROMPT and -o FILE belong together');
  }
  const ending = values.output?.match(/\.\w+$/)?.[0].toLowerCase();
  if (values.output !== undefined && FORMATS[ending] === undefined) {
    throw new Error(`-o ${values.output} must end in one of ${Object.keys(FORMATS).join(', ')}`);
  }
  return {
    edgePort: port(values['edge-port'], '--edge-port'),
    originPort: port(values['origin-port'], '--origin-port'),
    once: values.once,
    output: values.output,
    format: FORMATS[ending],
  };
}

function port(text, option) {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number > 65535) {
    throw new Error(`${option} must be a number from 0 to 65535, not "${text}"`);
  }
  return number;
}

module.exports = { readOptions };
