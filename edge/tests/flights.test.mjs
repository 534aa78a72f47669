// Equal requests: one generation for all who want it now, and none for who comes later.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { LIMIT, problem, sha256, useEdge } from "./harness.mjs";
import { MODEL, json, refuse } from "./origin.mjs";
import { PNG } from "./studio.mjs";
import { wrapped } from "./wrapped.mjs";

const edge = useEdge();
before(() => {
  edge.origin.models = [MODEL];
});

let seeds = 0;
/** A request that nobody has made before. */
const fresh = (body = {}) => ({ prompt: "p", seed: (seeds += 1), ...body });

const id = (request) => new URL(request.url, "http://origin").searchParams.get("job");
const isGenerate = (request) => request.method === "POST" && id(request) !== null;

/** What the origin answers to a job with all its pictures, or none of them yet. */
function generated(request, status = "succeeded", body = request.body) {
  const { seed, task_id = null } = JSON.parse(body);
  const { revision, engine } = MODEL;
  const job = { id: id(request), status, task_id, images: [] };
  if (status === "succeeded") job.images.push({ id: `image-${job.id}`, seed, url: "http://x/" });
  return { job, images: job.images, image_url: null, cached: false, recipe: { seed, revision, engine } };
}

/** An origin that makes every picture at once. */
function prompt(request, response, body) {
  json(response, 200, generated(request, "succeeded", body));
}

/** An origin that holds its answers until it is told. */
class Held {
  held = [];
  #waiting = [];

  constructor(to) {
    to.origin.requests.splice(0);
    to.origin.answer = (request, response, body) => {
      if (!isGenerate(request)) return response.writeHead(204).end();
      const call = { request, response, body, job: id(request), prefer: request.headers.prefer };
      this.held.push(call);
      this.#waiting.splice(0).forEach((wake) => wake());
    };
  }

  /** The calls that came, once there are so many. */
  async calls(count) {
    while (this.held.length < count) await new Promise((resolve) => this.#waiting.push(resolve));
    assert.equal(this.held.length, count);
    return this.held;
  }

  static finish = ({ request, response, body }) =>
    json(response, 200, generated(request, "succeeded", body));
  static accept = ({ request, response, body }) =>
    json(response, 202, generated(request, "queued", body));
}

const status = (response) => response.headers.get("cache-status");

test("fifty callers at once cost one generation", LIMIT, async () => {
  const origin = new Held(edge);
  const body = fresh();
  const calls = Array.from({ length: 50 }, (_, i) => edge.generate({ ...body, task_id: `t${i}` }));
  const [call] = await origin.calls(1);
  // Nothing tells when the last of them has boarded; none may be late, none may begin another.
  Held.finish(call);
  const answers = await Promise.all(calls);
  const bodies = await Promise.all(answers.map((answer) => answer.json()));
  bodies.forEach((body, i) => {
    assert.equal(answers[i].status, 200);
    assert.equal(body.job.id, call.job);
    assert.equal(body.job.task_id, `t${i}`);
  });
  assert.equal(answers.filter((answer) => /fwd=miss$/.test(status(answer))).length, 1);
  assert.equal(edge.origin.requests.length, 1);
});

test("a finished recipe is answered with no call to the origin", LIMIT, async () => {
  edge.origin.answer = prompt;
  const body = fresh({ task_id: "first" });
  const made = await edge.generate(body);
  assert.equal(status(made), "darkroom-edge; fwd=miss");
  const first = await made.json();
  assert.equal(first.cached, false);
  edge.origin.requests.splice(0);
  for (const task_id of ["second", undefined]) {
    const hit = await edge.generate({ ...body, task_id });
    assert.equal(hit.status, 200);
    assert.equal(status(hit), "darkroom-edge; hit");
    const again = await hit.json();
    assert.equal(again.cached, true);
    assert.equal(again.job.task_id, task_id ?? null);
    assert.deepEqual(again.images, first.images);
  }
  // Other fields, other pictures.
  for (const other of [{ steps: 7 }, { n: 2 }, { seed: body.seed + 1000 }]) {
    assert.equal(status(await edge.generate({ ...body, ...other })), "darkroom-edge; fwd=miss");
  }
  assert.equal(edge.origin.requests.length, 3);
});

test("a seed that was drawn can be asked for, and no seed is a new picture", LIMIT, async () => {
  edge.origin.answer = prompt;
  edge.origin.requests.splice(0);
  const { recipe } = await (await edge.generate({ prompt: "drawn" })).json();
  await edge.generate({ prompt: "drawn" });
  assert.equal(edge.origin.requests.length, 2);
  const again = await edge.generate({ prompt: "drawn", seed: recipe.seed });
  assert.equal(status(again), "darkroom-edge; hit");
});

const begins = { init_image: `data:image/png;base64,${PNG.toString("base64")}` };
const begun = { width: 64, height: 64, init_image: sha256(PNG), strength: 0.75 };

for (const [from, body, more, steps] of [["words", {}, {}, 20], ["a picture", begins, begun, 15]]) {
  test(`what was made from ${from} while nobody waited is kept when its job is asked for`, LIMIT, async () => {
    const seed = (seeds += 1);
    const { revision, engine } = MODEL;
    const recipe = {
      ...{ prompt: "p", width: 128, height: 128, steps: 20, guidance_scale: 3, scheduler: "euler" },
      ...{ seed, model: "demo", revision, engine, format: "png", ...more },
    };
    const image = {
      ...{ id: "1", url: "http://x/", key: "generated/x.png", width: 128, height: 128 },
      ...{ content_type: "image/png", bytes: 1, sha256: "s", seed, visibility: "public" },
    };
    const job = {
      ...{ id: "j", status: "succeeded", task_id: "theirs", error: null, recipe, images: [image] },
      ...{ created_at: "2026-01-01T00:00:00Z", started_at: null, finished_at: null },
      ...{ progress: { step: steps, steps }, queue_position: null, eta_seconds: null },
    };
    edge.origin.answer = (request, response) => json(response, 200, job);
    assert.equal((await (await edge.fetch("/api/jobs/j")).json()).id, "j");
    edge.origin.requests.splice(0);
    const kv = await edge.miniflare.getKVNamespace("RECIPES");
    const isKept = async () => {
      const { keys } = await kv.list({ prefix: "public:" });
      const kept = await Promise.all(keys.map(({ name }) => kv.get(name, "json")));
      return kept.some((answer) => answer.recipe.seed === seed);
    };
    while (!(await isKept()));
    const hit = await edge.generate({ prompt: "p", seed, ...body });
    assert.equal(status(hit), "darkroom-edge; hit");
    const { images } = await hit.json();
    assert.deepEqual(images, [image]);
    assert.equal(edge.origin.requests.length, 0);
  });
}

/** A job of `n` images from one picture, of which half of the steps are taken; some are left. */
function imagesOfOnePicture({ seed, n, left }) {
  const { revision, engine } = MODEL;
  const recipe = {
    ...{ prompt: "p", width: 128, height: 128, steps: 20, guidance_scale: 3, scheduler: "euler" },
    ...{ seed, model: "demo", revision, engine, format: "png", init_image: "d", strength: 0.5 },
  };
  const image = (seed) => ({
    ...{ id: "1", url: "http://x/", key: "generated/x.png", width: 128, height: 128 },
    ...{ content_type: "image/png", bytes: 1, sha256: "s", seed, visibility: "public" },
  });
  return {
    ...{ id: "j", status: "succeeded", task_id: "theirs", error: null, recipe },
    ...{ created_at: "2026-01-01T00:00:00Z", started_at: null, finished_at: null },
    ...{ progress: { step: 10 * n, steps: 10 * n }, queue_position: null, eta_seconds: null },
    images: left.map((i) => image(seed + i)),
  };
}

test("a job's pictures are kept if they are all there", LIMIT, async () => {
  const [whole, rest] = [(seeds += 2), (seeds += 2)];
  const kv = await edge.miniflare.getKVNamespace("RECIPES");
  // A job that lacks an image has as many steps as another recipe's that has all.
  for (const job of [
    imagesOfOnePicture({ seed: rest, n: 2, left: [1] }),
    imagesOfOnePicture({ seed: whole, n: 1, left: [0] }),
  ]) {
    edge.origin.answer = (request, response) => json(response, 200, job);
    assert.equal((await edge.fetch("/api/jobs/j")).status, 200);
  }
  const seedsKept = async () => {
    const { keys } = await kv.list({ prefix: "public:" });
    const kept = await Promise.all(keys.map(({ name }) => kv.get(name, "json")));
    return kept.map((answer) => answer?.recipe?.seed);
  };
  while (!(await seedsKept()).includes(whole));
  assert.ok(!(await seedsKept()).includes(rest));
});

test("what failed is told to all, and is tried anew by the next", LIMIT, async () => {
  const origin = new Held(edge);
  const body = fresh();
  const both = [edge.generate(body), edge.generate(body)];
  const [call] = await origin.calls(1);
  // The second may come when the first is over: then it fails by itself.
  edge.origin.answer = (request, response) => refuse(request, response, 500, "generation_failed");
  edge.origin.answer(call.request, call.response);
  for (const answer of await Promise.all(both)) await problem(answer, 500, "generation_failed");
  edge.origin.answer = prompt;
  const next = await edge.generate(body);
  assert.equal(next.status, 200);
  assert.notEqual((await next.json()).job.id, call.job);
});

test("what is no origin's answer is kept by nobody", LIMIT, async () => {
  const body = fresh();
  edge.origin.answer = (request, response) => {
    response.writeHead(200, { "content-type": "text/html" }).end("<p>Back soon</p>");
  };
  const both = await Promise.all([edge.generate(body), edge.generate(body)]);
  for (const answer of both) await problem(answer, 502, "origin_unreachable");
  edge.origin.answer = prompt;
  const next = await edge.generate(body);
  assert.equal(next.status, 200);
  assert.equal(status(next), "darkroom-edge; fwd=miss");
});

/** Resolves when another account's call has joined the flight; `answer` goes on answering. */
function joined(to) {
  const { answer } = to.origin;
  return new Promise((resolve) => {
    to.origin.answer = (request, response, body) => {
      if (request.url.includes("/readers")) response.on("finish", resolve);
      answer(request, response, body);
    };
  });
}

// It is refused, or accepted and too late.
for (const status of [429, 500]) {
  test(`the first caller's deadline is not the others' (${status})`, LIMIT, async () => {
    const origin = new Held(edge);
    const { key } = await edge.newKey();
    const body = fresh();
    const hurried = edge.generate(body, { headers: { "darkroom-deadline": "1" } });
    const [first] = await origin.calls(1);
    const hasJoined = joined(edge);
    const patient = edge.generate(body, { key });
    await hasJoined;
    refuse(first.request, first.response, status, "deadline_missed");
    await problem(await hurried, status, "deadline_missed");
    const [, second] = await origin.calls(2);
    assert.notEqual(second.job, first.job);
    assert.equal(second.request.headers["darkroom-deadline"], undefined);
    Held.finish(second);
    assert.equal((await patient).status, 200);
  });
}

test("whoever joins with a deadline is told by then how the job stands", LIMIT, async () => {
  const origin = new Held(edge);
  const body = fresh();
  const patient = edge.generate(body);
  await origin.calls(1);
  const hurried = edge.generate(body, { headers: { "darkroom-deadline": "1" } });
  const [first, second] = await origin.calls(2);
  assert.deepEqual([second.job, second.prefer], [first.job, "wait=0"]);
  Held.accept(second);
  assert.equal((await hurried).status, 202);
  Held.finish(first);
  assert.equal((await patient).status, 200);
});

test("a job that its owner has left goes on for who joined it", LIMIT, async () => {
  const origin = new Held(edge);
  const { key, account } = await edge.newKey();
  const body = fresh();
  const owner = edge.generate(body, { headers: { prefer: "wait=5" } });
  const [call] = await origin.calls(1);
  const hasJoined = joined(edge);
  const heir = edge.generate(body, { key });
  await hasJoined;
  const { answer } = edge.origin;
  edge.origin.answer = (request, response, body) => {
    if (request.method === "GET") return json(response, 200, { id: call.job, status: "running" });
    const isOwners = request.headers["darkroom-caller"] !== account;
    isOwners ? refuse(request, response, 404, "not_found") : answer(request, response, body);
  };
  // So the origin ends an owner's waiting.
  Held.accept(call);
  assert.equal((await owner).status, 202);
  const [, taken] = await origin.calls(2);
  assert.equal(taken.job, call.job);
  Held.finish(taken);
  assert.equal((await heir).status, 200);
});

test("whoever cannot wait is told of the job, and the others wait on", LIMIT, async () => {
  const origin = new Held(edge);
  const body = fresh();
  const patient = edge.generate(body);
  await origin.calls(1);
  const hurried = edge.generate(body, { headers: { prefer: "respond-async" } });
  const [first, second] = await origin.calls(2);
  assert.equal(second.job, first.job);
  assert.equal(second.prefer, "wait=0");
  Held.accept(second);
  const accepted = await hurried;
  assert.equal(accepted.status, 202);
  assert.equal(status(accepted), "darkroom-edge; fwd=miss; collapsed");
  Held.finish(first);
  assert.equal((await patient).status, 200);
});

test("whoever waits longer than the first is answered with the pictures", LIMIT, async () => {
  const origin = new Held(edge);
  const body = fresh();
  const hurried = edge.generate(body, { headers: { prefer: "respond-async" } });
  Held.accept((await origin.calls(1))[0]);
  assert.equal((await hurried).status, 202);
  const patient = edge.generate(body, { headers: { prefer: "wait=10" } });
  const [first, second] = await origin.calls(2);
  assert.equal(second.job, first.job);
  assert.match(second.prefer, /^wait=(9|10)$/);
  Held.finish(second);
  assert.equal((await patient).status, 200);
});

test("a caller who hangs up takes nothing from the others", LIMIT, async () => {
  const origin = new Held(edge);
  const body = fresh();
  const hangUp = new AbortController();
  const first = edge.generate(body, { signal: hangUp.signal });
  const [call] = await origin.calls(1);
  const second = edge.generate(body);
  hangUp.abort();
  await assert.rejects(first);
  Held.finish(call);
  assert.equal((await second).status, 200);
  await origin.calls(1);
});

test("an account that joins another's flight reads its job under its own label", LIMIT, async () => {
  const origin = new Held(edge);
  const body = fresh({ task_id: "theirs" });
  const first = edge.generate(body);
  const [call] = await origin.calls(1);
  const { key, account } = await edge.newKey();
  const asked = new Promise((resolve) => {
    const answer = edge.origin.answer;
    edge.origin.answer = (request, response, body) => {
      if (request.url.endsWith("/readers")) resolve({ ...request, body, headers: request.headers });
      answer(request, response, body);
    };
  });
  const second = edge.generate({ ...body, task_id: "mine" }, { key });
  const reader = await asked;
  assert.equal(reader.headers["darkroom-caller"], account);
  assert.deepEqual(JSON.parse(reader.body), { task_id: "mine" });
  Held.finish(call);
  assert.equal((await (await first).json()).job.task_id, "theirs");
  const shared = await (await second).json();
  assert.equal(shared.job.task_id, "mine");
  assert.equal(shared.job.id, call.job);
});

test("a caller's priority goes with what it asks of a flight's job", LIMIT, async () => {
  const origin = new Held(edge);
  const priorityOf = ({ url }) => new URL(url, "http://origin").searchParams.get("priority");
  const [low, high] = [await edge.newKey({ priority: "low" }), await edge.newKey({ priority: "high" })];
  const body = fresh();
  const first = edge.generate(body, { key: low.key });
  const [call] = await origin.calls(1);
  assert.equal(priorityOf(call.request), "low");
  const hasJoined = joined(edge);
  const second = edge.generate(body, { key: high.key });
  await hasJoined;
  const readers = edge.origin.requests.filter(({ url }) => url.includes("/readers"));
  assert.deepEqual(readers.map(priorityOf), ["high"]);
  Held.finish(call);
  for (const answer of [await first, await second]) assert.equal(answer.status, 200);
  // The usual one is not worth a word.
  edge.origin.answer = prompt;
  edge.origin.requests.splice(0);
  await edge.generate(fresh());
  assert.equal(priorityOf(edge.origin.takeOne()), null);
});

test("what joined another's job at the origin costs no image", LIMIT, async () => {
  const { key } = await edge.newKey({ daily_images: 1 });
  for (const state of ["succeeded", "queued", "succeeded"]) {
    edge.origin.answer = (request, response, body) => {
      const answer = generated(request, state, body);
      answer.job.id = "anothers";
      json(response, state === "queued" ? 202 : 200, answer, { "darkroom-joined": "1" });
    };
    const answer = await edge.generate(fresh(), { key });
    assert.ok(answer.ok, `${answer.status}`);
    assert.match(answer.headers.get("ratelimit"), /"images";r=1;/);
    assert.equal(answer.headers.get("darkroom-joined"), null);
    // What was taken comes back behind the answer.
    let left = answer;
    for (let tries = 0; tries < 100; tries += 1) {
      edge.origin.answer = (request, response) => refuse(request, response, 422, "invalid_request");
      left = await edge.generate(fresh(), { key });
      if (left.status !== 429) break;
    }
    await problem(left, 422, "invalid_request");
  }
});

test("only who begins a flight is charged for its images", LIMIT, async () => {
  const origin = new Held(edge);
  const { key } = await edge.newKey({ daily_images: 2 });
  const body = fresh();
  const first = edge.generate(body, { key });
  const [call] = await origin.calls(1);
  const second = edge.generate(body, { key });
  Held.finish(call);
  assert.equal((await first).status, 200);
  assert.equal((await second).status, 200);
  edge.origin.answer = prompt;
  assert.equal((await edge.generate(body, { key })).status, 200);
  // One image is left; the charges of the others come back behind their answers.
  const next = fresh();
  let last = await edge.generate(next, { key });
  for (let tries = 0; last.status === 429 && tries < 100; tries += 1) {
    last = await edge.generate(next, { key });
  }
  assert.equal(last.status, 200);
  await problem(await edge.generate(fresh(), { key }), 429, "quota_exceeded");
  // What is there needs no image.
  assert.equal((await edge.generate(body, { key })).status, 200);
});

describe("a deleted image", () => {
  test("is forgotten with its recipe, its cached picture and the smaller copies", LIMIT, async () => {
    const name = "1-01234567-89ab-cdef-0123-456789abcdef.png";
    const copies = [256, 512].map((width) => name.replace(".png", `-w${width}.webp`));
    const variants = copies.map((copy) => `generated/${copy}`);
    const recipes = [];
    edge.origin.answer = (request, response, body) => {
      if (request.method === "DELETE") {
        return json(response, 200, { key: `generated/${name}`, variants, recipe_sha256: recipes[0], n: 1 });
      }
      if (request.method === "GET") {
        response.writeHead(200, { "content-type": request.url.endsWith(".png") ? "image/png" : "image/webp" });
        return response.end("picture");
      }
      prompt(request, response, body);
    };
    const body = fresh();
    assert.equal((await edge.generate(body)).status, 200);
    const kv = await edge.miniflare.getKVNamespace("RECIPES");
    let kept;
    while (!kept) {
      const { keys } = await kv.list({ prefix: "public:" });
      for (const { name } of keys) {
        const { recipe } = JSON.parse(await kv.get(name));
        if (recipe.seed === body.seed) kept = name;
      }
    }
    recipes.push(kept.split(":")[1]);
    const picture = (file = name) => edge.fetch(`/generated/${file}`, { key: null });
    for (const file of [name, ...copies]) while (status(await picture(file)) !== "darkroom-edge; hit");

    const deleted = await edge.fetch("/api/images/some-id", { method: "DELETE" });
    assert.equal(deleted.status, 204);
    edge.origin.answer = (request, response, body) =>
      request.method === "GET" ? refuse(request, response, 404, "not_found") : prompt(request, response, body);
    for (const file of [name, ...copies]) {
      await problem(await picture(file), 404, "not_found");
      // The mark is what other places find, whose caches nobody reaches.
      assert.notEqual(await kv.get(`deleted:/generated/${file}`), null);
    }
    assert.equal(status(await edge.generate(body)), "darkroom-edge; fwd=miss");

    // Had the edge failed to forget it, a second call would have it forgotten.
    const image = { key: `generated/${name}`, recipe_sha256: recipes[0], n: 1, again: true };
    edge.origin.answer = (request, response) => json(response, 200, image);
    await kv.put(kept, "{}");
    const again = await edge.fetch("/api/images/some-id", { method: "DELETE" });
    await problem(again, 404, "not_found");
    assert.equal(await kv.get(kept), null);
  });

  test("stays gone when its recipe is kept after it was deleted", LIMIT, async () => {
    const key = "generated/1-21234567-89ab-cdef-0123-456789abcdef.png";
    const made = (request, response, body) => {
      const answer = generated(request, "succeeded", body);
      Object.assign(answer.images[0], { key });
      json(response, 200, answer);
    };
    edge.origin.answer = made;
    const body = fresh();
    assert.equal((await edge.generate(body)).status, 200);
    const kv = await edge.miniflare.getKVNamespace("RECIPES");
    const keptAs = async () => {
      const { keys } = await kv.list({ prefix: "public:" });
      for (const { name } of keys) {
        const { recipe } = JSON.parse(await kv.get(name));
        if (recipe.seed === body.seed) return name;
      }
    };
    let name;
    while (!(name = await keptAs()));
    const kept = await kv.get(name);

    const deleted = { key, recipe_sha256: name.split(":")[1], n: 1 };
    edge.origin.answer = (request, response) => json(response, 200, deleted);
    assert.equal((await edge.fetch("/api/images/some-id", { method: "DELETE" })).status, 204);
    // As whoever had the answer and was slow to keep it does.
    await kv.put(name, kept);
    edge.origin.answer = prompt;
    const anew = await edge.generate(body);
    assert.equal(status(anew), "darkroom-edge; fwd=miss");
    // What was made in its place is kept in its place.
    while (status(await edge.generate(body)) !== "darkroom-edge; hit");
    assert.notEqual(await kv.get(name), kept);
  });

  const halved = useEdge({ options: { durableObjects: { KEY_ALLOWANCES: { className: "KeyAllowance", useSQLite: true } } } });

  test("is gone though its recipe cannot be forgotten", LIMIT, async () => {
    const name = "1-11234567-89ab-cdef-0123-456789abcdef.png";
    halved.origin.answer = (request, response) => {
      const deleted = { key: `generated/${name}`, recipe_sha256: "0".repeat(64), n: 1 };
      if (request.method === "DELETE") return json(response, 200, deleted);
      response.writeHead(200, { "content-type": "image/png" }).end("picture");
    };
    const picture = () => halved.fetch(`/generated/${name}`, { key: null });
    while (status(await picture()) !== "darkroom-edge; hit");
    await problem(await halved.fetch("/api/images/some-id", { method: "DELETE" }), 503, "unavailable");
    halved.origin.answer = (request, response) => refuse(request, response, 404, "not_found");
    await problem(await picture(), 404, "not_found");
  });

  test("of another account is not there", LIMIT, async () => {
    edge.origin.answer = (request, response) => refuse(request, response, 404, "not_found");
    await problem(await edge.fetch("/api/images/x", { method: "DELETE" }), 404, "not_found");
  });

  test("whose job is asked for once more has it made anew", LIMIT, async () => {
    const origin = new Held(edge);
    const body = fresh();
    const hurried = { headers: { prefer: "respond-async" } };
    const first = edge.generate(body, hurried);
    Held.accept((await origin.calls(1))[0]);
    await first;
    const next = edge.generate(body, hurried);
    const [, known] = await origin.calls(2);
    // It was made, and its image deleted, with nobody looking.
    json(known.response, 200, { ...generated(known.request, "queued", known.body), job: { id: known.job } });
    const [, , anew] = await origin.calls(3);
    assert.notEqual(anew.job, known.job);
    Held.finish(anew);
    assert.equal((await next).status, 200);
  });
});

describe("an edge that is started anew", () => {
  const folder = mkdtempSync(join(tmpdir(), "darkroom-"));
  const lasting = useEdge({ persist: folder });
  after(() => rmSync(folder, { recursive: true }));

  test("still knows which job makes a recipe, and what was made", LIMIT, async () => {
    lasting.origin.models = [MODEL];
    const origin = new Held(lasting);
    const body = fresh();
    const first = lasting.generate(body, { headers: { prefer: "respond-async" } });
    Held.accept((await origin.calls(1))[0]);
    await first;
    await lasting.restart();
    const second = lasting.generate(body);
    const [before, after] = await origin.calls(2);
    assert.equal(after.job, before.job);
    Held.finish(after);
    assert.equal((await second).status, 200);
    await lasting.origin.stop();
    await lasting.restart();
    // It cannot even ask what is offered any more: what it knows is enough.
    const late = await lasting.generate(body);
    assert.equal(late.status, 200);
    assert.equal(status(late), "darkroom-edge; hit");
    await problem(await lasting.generate(fresh()), 502, "origin_unreachable");
  });
});

test("weights that have changed since are not taken for those that were asked for", LIMIT, async () => {
  const revision = "r2";
  edge.origin.models = [{ ...MODEL, revision }];
  edge.origin.answer = (request, response, body) => {
    const made = generated(request, "succeeded", body);
    json(response, 200, { ...made, recipe: { ...made.recipe, revision } });
  };
  const body = fresh();
  // The edge believes for a minute what it was told before.
  assert.equal(status(await edge.generate(body)), "darkroom-edge; fwd=miss");
  assert.equal(status(await edge.generate(body)), "darkroom-edge; fwd=miss");
  assert.equal(status(await edge.generate(body)), "darkroom-edge; hit");
  edge.origin.models = [MODEL];
});

describe("the bodies of those who want the same", () => {
  const counting = useEdge({
    options: wrapped(`
      import edge, { Flight as Counted } from "./index.js";
      export * from "./index.js";
      let [boarded, read] = [0, 0];
      export class Flight extends Counted {
        async fetch(request) {
          boarded += 1;
          const answer = await super.fetch(request);
          read += request.bodyUsed;
          return answer;
        }
      }
      export default {
        fetch(request, ...rest) {
          if (request.url.endsWith("/counted")) return Response.json({ boarded, read });
          return edge.fetch(request, ...rest);
        },
      };
    `),
  });

  test("are not all taken into its flight's memory", LIMIT, async () => {
    counting.origin.models = [MODEL];
    const counted = async () => (await counting.fetch("/counted")).json();
    const origin = new Held(counting);
    const body = fresh();
    const labels = ["ä", "\u{1f5bc}", "c", "d", "e", "f"];
    const calls = labels.map((task_id) => counting.generate({ ...body, task_id }));
    const [call] = await origin.calls(1);
    while ((await counted()).boarded < labels.length);
    Held.finish(call);
    for (const answer of await Promise.all(calls)) assert.equal(answer.status, 200);
    assert.deepEqual(await counted(), { boarded: labels.length, read: 1 });
    const labelled = counting.origin.requests.filter(({ url }) => url.endsWith("/readers"));
    assert.equal(labelled.length, 0, "they are one account's");
  });
});
