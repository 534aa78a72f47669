// `scripts/bench edge`: the built edge beside a plain JavaScript worker, in one run.
import assert from "node:assert/strict";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { ask, load } from "./load.mjs";
import { PATHS, VARIABLES } from "./paths.mjs";
import { Workerd, version } from "./workerd.mjs";

const ROUNDS = Number(process.env.ROUNDS ?? 5);
const STARTS = 9;
const EDGE = fileURLToPath(new URL("../build/", import.meta.url));
const PEER = fileURLToPath(new URL("peer/", import.meta.url));

const sorted = (numbers) => numbers.toSorted((a, b) => a - b);
const median = (numbers) => sorted(numbers)[Math.floor(numbers.length / 2)];

/** An answer without what is new each time, or names the one that answered. */
function comparable(headers, body) {
  for (const one of ["x-request-id", "server-timing", "ratelimit", "date"]) delete headers[one];
  if (headers["content-type"] !== "application/json") return { headers, body };
  delete headers["content-length"];
  const { url: _, ...rest } = JSON.parse(body.toString());
  return { headers, body: rest };
}

/** Both must answer the same. */
async function check(workers, { name, of }) {
  const [ours, theirs] = await Promise.all(
    workers.map(async ({ url }) => {
      const next = of(url);
      // The first fills the stores, which are written behind the caller's back.
      for (let tries = 0; tries < 1000; tries += 1) {
        const { headers, body } = await ask(url, next());
        if (!/fwd=miss/.test(headers["cache-status"])) return comparable(headers, body);
      }
      throw new Error(`${name}: nothing is kept`);
    }),
  );
  assert.deepEqual(ours, theirs, `${name}: the two do not answer the same`);
}

async function measure(worker, { count, of }) {
  const next = of(worker.url);
  const before = worker.cpu();
  const seconds = await load(worker.url, count, next);
  return { rate: count / seconds, micros: ((worker.cpu() - before) / count) * 1e6 };
}

async function start(folder) {
  const begun = performance.now();
  const worker = await Workerd.start(folder, VARIABLES);
  try {
    await ask(worker.url, PATHS[0].of(worker.url)());
    return { millis: performance.now() - begun, cpu: worker.cpu() * 1000 };
  } finally {
    await worker.stop();
  }
}

async function starts() {
  const found = { edge: [], peer: [] };
  for (let round = 0; round < STARTS; round += 1) {
    for (const [name, folder] of [["edge", EDGE], ["peer", PEER]]) {
      found[name].push(await start(folder));
    }
  }
  const of = (name, what) => median(found[name].map((one) => one[what]));
  console.log(`\nstart of a workerd to its first answer, median of ${STARTS}`);
  for (const [what, unit] of [["cpu", "ms of CPU"], ["millis", "ms of time"]]) {
    const [ours, theirs] = [of("edge", what), of("peer", what)];
    console.log(`  ${unit}: edge ${ours.toFixed(0)}, JavaScript ${theirs.toFixed(0)}, ${(ours - theirs).toFixed(0)} more`);
  }
}

async function paths(workers) {
  const [edge, peer] = workers;
  console.log(`\n${"".padEnd(28)}${"requests/s".padStart(17)}${"CPU µs a request".padStart(20)}   CPU ratio, median (range)`);
  console.log(`${"".padEnd(28)}${"edge".padStart(9)}${"JS".padStart(8)}${"edge".padStart(12)}${"JS".padStart(8)}`);
  const wanted = PATHS.filter(({ name }) => !process.env.ONLY || name.includes(process.env.ONLY));
  for (const path of wanted) {
    await check(workers, path);
    for (const worker of workers) await measure(worker, path);
    const rounds = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const ours = await measure(edge, path);
      const theirs = await measure(peer, path);
      rounds.push({ ours, theirs, ratio: ours.micros / theirs.micros });
    }
    const of = (whose, what) => median(rounds.map((round) => round[whose][what])).toFixed(0);
    const ratios = sorted(rounds.map(({ ratio }) => ratio));
    const [least, most] = [ratios[0], ratios.at(-1)].map((ratio) => ratio.toFixed(2));
    console.log(
      path.name.padEnd(28) +
        of("ours", "rate").padStart(9) + of("theirs", "rate").padStart(8) +
        of("ours", "micros").padStart(12) + of("theirs", "micros").padStart(8) +
        `   ${median(ratios).toFixed(2)} (${least} to ${most})`,
    );
  }
}

console.log(`device: ${cpus()[0].model}, ${cpus().length} threads; workerd ${version()}, node ${process.version}`);
const workers = [];
try {
  for (const folder of [EDGE, PEER]) workers.push(await Workerd.start(folder, VARIABLES));
  await paths(workers);
} finally {
  for (const worker of workers) await worker.stop();
}
if (!process.env.ONLY) await starts();
