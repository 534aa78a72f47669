// The scheduled run that forgets what is of no more use.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMIT, sha256, useEdge } from "./harness.mjs";

const edge = useEdge();
const bare = useEdge({ options: { kvNamespaces: [] } });
const DAY = 86_400_000;

const seen = new Set();

/** Runs it, and answers what its log says of the run. */
async function cleanUp() {
  const worker = await edge.miniflare.getWorker();
  assert.equal((await worker.scheduled({ cron: "17 * * * *" })).outcome, "ok");
  const isNew = ({ message, request_id }) => message === "cleaned up the keys" && !seen.has(request_id);
  const line = await edge.log.line(isNew);
  seen.add(line.request_id);
  return line;
}

test("forgets keys that expired a month ago and digests that lead nowhere, and nothing else", LIMIT, async () => {
  const kv = await edge.miniflare.getKVNamespace("KEYS");
  const names = async () => (await kv.list()).keys.map(({ name }) => name).filter((name) => !name.startsWith("clean-up"));
  const change = async ({ id, key }, change) => {
    const record = JSON.parse(await kv.get(`key:${id}`));
    change(record);
    await kv.put(`key:${id}`, JSON.stringify(record), { metadata: record.key });
    await kv.put(`digest:${sha256(key)}`, id, { metadata: { written_at: Date.now() - 2 * DAY } });
  };
  const ago = (days) => new Date(Date.now() - days * DAY).toISOString();

  const lasting = await edge.newKey();
  await change(lasting, () => {});
  const expired = await edge.newKey();
  await change(expired, (record) => (record.key.expires_at = ago(29)));
  const past = await edge.newKey();
  await change(past, (record) => (record.key.expires_at = ago(31)));
  // Its metadata is behind what it is.
  const extended = await edge.newKey();
  const record = await kv.get(`key:${extended.id}`);
  await kv.put(`key:${extended.id}`, record, { metadata: { ...JSON.parse(record).key, expires_at: ago(31) } });

  const { key: pastKey } = JSON.parse(await kv.get(`key:${past.id}`));
  await kv.put("key:broken", "{", { metadata: { ...pastKey, id: "broken" } });

  const old = { metadata: { written_at: Date.now() - 2 * DAY } };
  const leftOver = `digest:${"1".repeat(64)}`;
  await kv.put(leftOver, lasting.id, old);
  const ofNoKey = `digest:${"2".repeat(64)}`;
  await kv.put(ofNoKey, past.id, old);
  const undated = `digest:${"3".repeat(64)}`;
  await kv.put(undated, "no-such-key");
  // Its record may be on the way.
  const young = `digest:${"4".repeat(64)}`;
  await kv.put(young, "no-such-key-yet", { metadata: { written_at: Date.now() } });
  const strange = "something:else";
  await kv.put(strange, "x");

  const gone = [leftOver, ofNoKey, undated, `key:${past.id}`, `digest:${sha256(past.key)}`];
  const stay = (await names()).filter((name) => !gone.includes(name));
  const done = await cleanUp();
  assert.deepEqual(await names(), stay);
  assert.equal(done.level, "info");
  assert.deepEqual([done.keys, done.failed, done.looked_at], [1, 1, stay.length + gone.length]);
  for (const { key } of [lasting, extended]) assert.equal((await edge.fetch("/api/jobs", { key })).status, 200);
  assert.deepEqual([(await cleanUp()).keys, (await cleanUp()).digests], [0, 0]);
});

test("looks at so many at a time, and goes on where it ended", LIMIT, async () => {
  const kv = await edge.miniflare.getKVNamespace("KEYS");
  const digests = Array.from({ length: 250 }, (_, i) => `digest:${sha256(String(i))}`);
  await Promise.all(digests.map((name) => kv.put(name, "no-such-key")));
  let found = 0;
  for (let runs = 0; found < digests.length; runs += 1) {
    assert.ok(runs < 6);
    const done = await cleanUp();
    assert.ok(done.looked_at <= 100);
    found += done.digests;
  }
  const left = (await kv.list({ prefix: "digest:" })).keys.map(({ name }) => name);
  assert.deepEqual(left.filter((name) => digests.includes(name)), []);
  // A place that the store does not know holds up one run at most.
  await kv.put("clean-up:cursor", "no cursor");
  await cleanUp();
  assert.ok((await cleanUp()).looked_at > 0);
});

test("that fails says so in the log, and harms nothing", LIMIT, async () => {
  const worker = await bare.miniflare.getWorker();
  await worker.scheduled({ cron: "17 * * * *" });
  await bare.log.until(/the clean-up failed/);
  assert.equal((await bare.fetch("/healthz")).status, 200);
});
