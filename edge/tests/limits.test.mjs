// What a key may use up: requests a minute, images a day, and bursts of calls.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { LIMIT, problem, useEdge, wranglerToml } from "./harness.mjs";
import { MODEL, json, refuse } from "./origin.mjs";

const edge = useEdge();

/** An origin that keeps the jobs that it is handed, and ends each as the test says. */
class Jobs {
  /** By id: `queued`, or what became of it. */
  status = new Map();
  /** What a new job is answered with. */
  next = "succeeded";

  answer = (request, response) => {
    const url = new URL(request.url, "http://origin");
    if (request.method === "POST") {
      const id = url.searchParams.get("job");
      if (this.next === "refused") return refuse(request, response, 429, "queue_full");
      this.status.set(id, this.next);
      if (this.next === "failed") return refuse(request, response, 500, "generation_failed");
      return json(response, this.next === "queued" ? 202 : 200, { job: { id } });
    }
    const id = url.pathname.split("/").at(-1);
    const status = this.status.get(id);
    return status ? json(response, 200, { id, status }) : refuse(request, response, 404, "not_found");
  };
}

function useJobs() {
  const jobs = new Jobs();
  edge.origin.answer = jobs.answer;
  edge.origin.requests.splice(0);
  return jobs;
}

/** What the headers say is left: `{requests, images}`, each `{r, t}`. */
function left(response) {
  const items = response.headers.get("ratelimit").split(", ");
  const parsed = items.map((item) => /^"(\w+)";r=(\d+);t=(\d+)$/.exec(item));
  return Object.fromEntries(parsed.map(([, name, r, t]) => [name, { r: Number(r), t: Number(t) }]));
}

const generate = (key, body = {}, headers = {}) =>
  edge.generate({ prompt: "p", ...body }, { key, headers });

describe("images a day", () => {
  test("are exact, however many calls come at once", LIMIT, async () => {
    useJobs();
    const { key } = await edge.newKey({ daily_images: 7 });
    const answers = await Promise.all(Array.from({ length: 25 }, () => generate(key)));
    const statuses = answers.map(({ status }) => status);
    assert.equal(statuses.filter((status) => status === 200).length, 7);
    assert.equal(statuses.filter((status) => status === 429).length, 18);
    const made = edge.origin.requests.splice(0).filter(({ method }) => method === "POST");
    assert.equal(made.length, 7);
    const refused = answers.find(({ status }) => status === 429);
    const seconds = Number(refused.headers.get("retry-after"));
    assert.ok(seconds > 0 && seconds <= 86_400);
    assert.equal(left(refused).images.r, 0);
    assert.equal(left(refused).images.t, seconds);
    const document = await problem(refused, 429, "quota_exceeded");
    assert.equal(document.retry_after, seconds);
  });

  test("count every image of a call, all or none", LIMIT, async () => {
    useJobs();
    const { key } = await edge.newKey({ daily_images: 5, rate_per_minute: 100 });
    const first = await generate(key, { n: 3 });
    const policy = '"requests";q=100;w=60, "images";q=5;w=86400';
    assert.equal(first.headers.get("ratelimit-policy"), policy);
    assert.equal(left(first).images.r, 2);
    assert.equal(left(first).requests.r, 99);
    assert.equal((await generate(key, { n: 3 })).status, 429);
    assert.equal(left(await generate(key, { n: 2 })).images.r, 0);
  });

  test("are given back at once when the job is refused or fails", LIMIT, async () => {
    const jobs = useJobs();
    const { key } = await edge.newKey({ daily_images: 1 });
    for (const next of ["refused", "failed", "refused"]) {
      jobs.next = next;
      assert.equal((await generate(key)).status, next === "refused" ? 429 : 500);
    }
    jobs.next = "succeeded";
    assert.equal((await generate(key)).status, 200);
    await problem(await generate(key), 429, "quota_exceeded");
  });

  test("are given back of a job that ends where nobody waits", LIMIT, async () => {
    const jobs = useJobs();
    const { key, account } = await edge.newKey({ daily_images: 1 });
    jobs.next = "queued";
    for (const end of ["failed", "canceled"]) {
      assert.equal((await generate(key)).status, 202);
      // Before, it was asked what became of the job whose image is due back.
      const id = edge.origin.requests.splice(0).at(-1).url.split("=")[1];
      await problem(await generate(key), 429, "quota_exceeded");
      const asked = edge.origin.takeOne();
      assert.equal(asked.url, `/api/jobs/${id}`);
      assert.equal(asked.headers["darkroom-caller"], account);
      jobs.status.set(id, end);
    }
    jobs.next = "succeeded";
    assert.equal((await generate(key)).status, 200);
    edge.origin.requests.splice(0);
    // One that succeeded stays taken, and is not asked for again.
    await problem(await generate(key), 429, "quota_exceeded");
  });

  test("are given back of a job that has joined another's where nobody was told", LIMIT, async () => {
    const jobs = useJobs();
    const { key } = await edge.newKey({ daily_images: 1 });
    jobs.next = "queued";
    assert.equal((await generate(key)).status, 202);
    edge.origin.answer = (request, response, body) =>
      request.method === "GET"
        ? json(response, 200, { id: "anothers", status: "running" })
        : jobs.answer(request, response, body);
    assert.equal((await generate(key)).status, 202);
  });

  test("are given back at once when the job is canceled through the edge", LIMIT, async () => {
    const jobs = useJobs();
    const { key } = await edge.newKey({ daily_images: 1 });
    jobs.next = "queued";
    const { id } = (await (await generate(key)).json()).job;
    // What the origin says to others comes later than what it says to who cancels.
    edge.origin.answer = (request, response) => {
      if (request.method !== "DELETE") return jobs.answer(request, response);
      json(response, 200, { id, status: "canceled" });
    };
    assert.equal((await edge.fetch(`/api/jobs/${id}`, { key, method: "DELETE" })).status, 200);
    while ((await generate(key)).status === 429);
  });

  test("are given back when the origin is lost, and taken again if it made them", LIMIT, async () => {
    const jobs = useJobs();
    const { key } = await edge.newKey({ daily_images: 2 });
    edge.origin.answer = (request, response) => {
      jobs.status.set(new URL(request.url, "http://origin").searchParams.get("job"), "succeeded");
      response.socket.destroy();
    };
    const lost = await generate(key, { n: 2 });
    await problem(lost, 502, "origin_unreachable");
    assert.equal(left(lost).images.r, 2);
    assert.equal(jobs.status.size, 1, "however often it is handed in, it is one job");
    edge.origin.answer = jobs.answer;
    assert.equal(left(await generate(key)).images.r, 1);
    // Two are too many, so the ledger asks what became of those that it gave back.
    const refused = await generate(key, { n: 2 });
    await problem(refused, 429, "quota_exceeded");
    assert.equal(left(refused).images.r, 0);
  });

  test("are given back of any of many open jobs", LIMIT, async () => {
    const jobs = useJobs();
    const { key } = await edge.newKey({ daily_images: 22 });
    jobs.next = "queued";
    for (let i = 0; i < 22; i += 1) await generate(key);
    jobs.status.set([...jobs.status.keys()].at(-1), "failed");
    const statuses = [(await generate(key)).status, (await generate(key)).status];
    assert.ok(statuses.includes(202), `${statuses}`);
  });

  test("are those of a key, not of its account, and outlive its rotation", LIMIT, async () => {
    useJobs();
    const one = await edge.newKey({ account: "shared", daily_images: 1 });
    const other = await edge.newKey({ account: "shared", daily_images: 1 });
    assert.equal((await generate(one.key)).status, 200);
    assert.equal((await generate(other.key)).status, 200);
    const rotated = await (await edge.post(`/api/keys/${one.id}/rotate`)).json();
    await problem(await generate(rotated.key), 429, "quota_exceeded");
  });

  test("are not taken by what is refused before", LIMIT, async () => {
    useJobs();
    const { key } = await edge.newKey({ daily_images: 1 });
    await problem(await generate(key, { steps: 0 }), 422, "invalid_request");
    const headers = { "darkroom-deadline": "tomorrow" };
    const document = await problem(await generate(key, {}, headers), 422, "invalid_request");
    assert.equal(document.errors[0].field, "Darkroom-Deadline");
    assert.equal((await generate(key)).status, 200);
  });
});

describe("an edge that is started anew", () => {
  const folder = mkdtempSync(join(tmpdir(), "darkroom-"));
  const lasting = useEdge({ persist: folder });
  after(() => rmSync(folder, { recursive: true }));

  test("still knows what was used", LIMIT, async () => {
    lasting.origin.answer = new Jobs().answer;
    const { key } = await lasting.newKey({ daily_images: 3 });
    const generate = () => lasting.generate({ prompt: "p", n: 2 }, { key });
    assert.equal(left(await generate()).images.r, 1);
    await lasting.restart();
    const refused = await generate();
    assert.equal(left(refused).images.r, 1);
    await problem(refused, 429, "quota_exceeded");
  });
});

test("what is left is told whatever is answered", LIMIT, async () => {
  const jobs = useJobs();
  const { key } = await edge.newKey({ rate_per_minute: 100, daily_images: 5 });
  assert.equal(left(await edge.fetch("/api/jobs", { key })).requests.r, 99);
  jobs.next = "failed";
  assert.equal(left(await generate(key)).images.r, 5);
  edge.origin.answer = (request, response) => refuse(request, response, 404, "not_found");
  const missing = await edge.fetch("/api/jobs/x", { key });
  assert.equal(missing.status, 404);
  assert.equal(left(missing).images.r, 5);
  for (const path of ["/api/media/generate-image", "/v1/images/generations"]) {
    edge.origin.answer = (request, response) => response.writeHead(200).end("no origin's");
    const broken = await edge.post(path, { prompt: "p" }, { key });
    assert.equal(broken.status, 502, path);
    assert.ok(left(broken).requests.r < 98);
    edge.origin.answer = (request, response) => refuse(request, response, 429, "queue_full");
    const refused = await edge.post(path, { prompt: "p" }, { key });
    assert.equal(refused.status, 429, path);
    assert.ok(left(refused).requests.r < 98);
  }
});

describe("requests a minute", () => {
  test("are counted over all calls of a key that has a rate of its own", LIMIT, async () => {
    useJobs();
    const { key } = await edge.newKey({ rate_per_minute: 3 });
    edge.origin.models = [MODEL];
    const calls = ["/api/jobs", "/v1/models"].map((path) => () => edge.fetch(path, { key }));
    calls.push(() => generate(key));
    // The minute may turn in between: then there is a fourth, but never a sixth.
    const answers = [];
    while (answers.at(-1)?.status !== 429) {
      answers.push(await calls[answers.length % 3]());
      assert.ok(answers.length <= 7);
    }
    assert.ok(answers.length >= 4);
    assert.ok(answers.every(({ headers }) => headers.has("ratelimit")));
    const refused = answers.at(-1);
    assert.equal(left(refused).requests.r, 0);
    const seconds = Number(refused.headers.get("retry-after"));
    assert.ok(seconds >= 1 && seconds <= 60);
    await problem(refused, 429, "rate_limited");
  });
});

test("a deadline is passed on", LIMIT, async () => {
  useJobs();
  await generate(undefined, {}, { "darkroom-deadline": " 30 " });
  assert.equal(edge.origin.requests.splice(0).at(-1).headers["darkroom-deadline"], "30");
});

describe("a shield", () => {
  const shielded = useEdge({ options: { ratelimits: { BURST: { simple: { limit: 6, period: 60 } } } } });

  test("stops a flood, of each key by itself, and of what knows no key", LIMIT, async () => {
    const flood = (key) => Promise.all(Array.from({ length: 12 }, () => shielded.fetch("/api/jobs", { key })));
    const { key } = await shielded.newKey();
    // Until it is known whose a key is, it is counted with its address.
    assert.equal((await shielded.fetch("/api/jobs", { key })).status, 200);
    for (const [sent, status] of [[key, 200], [`dk_${"x".repeat(43)}`, 401]]) {
      const answers = await flood(sent);
      const counts = (wanted) => answers.filter((answer) => answer.status === wanted).length;
      // The counter's own minute may turn in between.
      assert.ok(counts(status) >= 5 && counts(429) >= 2, `${counts(status)} ${counts(429)}`);
      assert.equal(counts(status) + counts(429), 12);
      const refused = answers.find((answer) => answer.status === 429);
      assert.equal(refused.headers.get("retry-after"), "10");
      assert.equal(refused.headers.get("ratelimit"), '"burst";r=0;t=10');
      // What the edge says of its shield is what it is set to.
      const [, limit, period] = /^simple = { limit = (\d+), period = (\d+) }$/m.exec(wranglerToml);
      assert.equal(refused.headers.get("ratelimit-policy"), `"burst";q=${limit};w=${period}`);
      await problem(refused, 429, "rate_limited");
    }
    assert.equal((await shielded.fetch("/healthz", { key: null })).status, 200);
  });

  test("keeps floods that need no key from the origin", LIMIT, async () => {
    shielded.origin.answer = (request, response) =>
      request.url === "/readyz" ? json(response, 200, {}) : refuse(request, response, 404, "not_found");
    const picture = () => `/generated/1700000000-${randomUUID()}.png`;
    const flood = (path, address) => {
      const headers = (i) => ({ "cf-connecting-ip": address(i) });
      const one = (_, i) => shielded.fetch(path(), { key: null, headers: headers(i) });
      return Promise.all(Array.from({ length: 14 }, one));
    };
    const within = (answers, status) => answers.filter((answer) => answer.status === status).length;
    for (const [path, address, status] of [
      [picture, () => "192.0.2.1", 404],
      [() => "/readyz", () => "192.0.2.2", 200],
      // Of IPv6 each has a network of its own.
      [picture, (i) => `2001:db8:1:2:${i}::7`, 404],
    ]) {
      const answers = await flood(path, address);
      // The counter's own minute may turn in between.
      assert.ok(within(answers, status) >= 6 && within(answers, 429) >= 2, answers.map(({ status }) => status).join());
      await problem(answers.find((answer) => answer.status === 429), 429, "rate_limited");
    }
    for (const address of [
      (i) => `192.0.3.${i}`,
      (i) => `::ffff:192.0.6.${i}`,
      (i) => `2001:db8:2:${i}::7`,
      (i) => `2001:db8::${i}:2:3:4:5`,
    ]) {
      const answers = await flood(picture, address);
      assert.equal(within(answers, 404), answers.length);
    }
    // What the edge has costs the origin nothing.
    const kept = picture();
    shielded.origin.answer = (_, response) => response.writeHead(200, { "content-type": "image/png" }).end("PNG");
    const answers = [await flood(() => kept, (i) => `192.0.4.${i}`), await flood(() => kept, () => "192.0.5.1")].flat();
    assert.equal(within(answers, 200), answers.length);
  });

  // In the place of the store of keys: it says what it was asked.
  const watched = useEdge({
    options: {
      ratelimits: { BURST: { simple: { limit: 5, period: 60 } } },
      kvNamespaces: ["RECIPES"],
      wrappedBindings: { KEYS: { scriptName: "keys" } },
    },
    others: [{
      name: "keys",
      modules: [{
        type: "ESModule",
        path: "keys.js",
        contents: `export default () => ({
          async get(name) {
            console.log("asked for " + name);
            return null;
          },
          ...Object.fromEntries(["getWithMetadata", "put", "list", "delete"].map((name) => [name, () => {}])),
        })`,
      }],
    }],
  });

  test("keeps keys that nobody knows from the store of keys", LIMIT, async () => {
    const unknown = (i) => `dk_${String(i).padStart(43, "0")}`;
    const ask = async (i) => (await watched.fetch("/api/jobs", { key: unknown(i) })).status;
    const statuses = await Promise.all(Array.from({ length: 40 }, (_, i) => ask(i)));
    assert.ok(statuses.every((status) => status === 401 || status === 429), `${statuses}`);
    const refused = statuses.filter((status) => status === 401).length;
    await watched.log.until(new RegExp(`(asked for digest:[^]*){${refused}}`));
    // The counter's own minute may turn in between.
    const asked = watched.log.text.match(/asked for digest:/g).length;
    assert.ok(asked <= 10, `${asked} of 40`);
  });
});
