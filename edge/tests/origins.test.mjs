// Which origin is asked, and how often.
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { LIMIT, problem, useEdge } from "./harness.mjs";
import { json, raw, refuse } from "./origin.mjs";

const PICTURE = "/generated/1700000000-01234567-89ab-cdef-0123-456789abcdef.png";
const ok = (request, response) => json(response, 200, {});
const hangUp = (request, response) => response.socket.destroy();
const gateway = (status) => (request, response) =>
  response.writeHead(status, { "content-type": "text/html" }).end("<h1>bad gateway</h1>");

/** Answers with each of these in turn, and well from then on. */
const inTurn = (...answers) => (request, response) => (answers.shift() ?? ok)(request, response);

describe("one origin", () => {
  const edge = useEdge();

  /** The status that a call ends with, and how often the origin was asked for it. */
  const asked = async (path, init, ...answers) => {
    edge.origin.answer = ok;
    assert.equal((await edge.fetch("/api/jobs")).status, 200, "no failure of before counts");
    edge.origin.requests.length = 0;
    edge.origin.answer = inTurn(...answers);
    const { status } = await edge.fetch(path, init);
    return [status, edge.origin.requests.length];
  };

  test("that fails for a moment is asked again, signed anew", LIMIT, async () => {
    for (const failure of [hangUp, raw("garbage\r\n\r\n"), ...[502, 503, 504].map(gateway)]) {
      assert.deepEqual(await asked("/api/jobs?a=1", {}, failure), [200, 2]);
      const [first, second] = edge.origin.requests;
      // That no nonce was used twice is the scripted origin's own check.
      assert.notEqual(first.headers.signature, second.headers.signature);
      for (const same of ["x-request-id", "traceparent", "darkroom-caller"]) {
        assert.equal(first.headers[same], second.headers[same]);
      }
      assert.equal(first.url, second.url);
    }
    const unready = (request, response) => refuse(request, response, 503, "unavailable");
    assert.deepEqual(await asked("/api/jobs", {}, unready, unready), [200, 3]);
    const events = (request, response) =>
      response.writeHead(200, { "content-type": "text/event-stream" }).end("data: 1\n\n");
    assert.deepEqual(await asked("/api/jobs/1/events", {}, hangUp, events), [200, 2]);
  });

  test("is asked three times and no more", LIMIT, async () => {
    assert.deepEqual(await asked("/api/jobs", {}, hangUp, hangUp, hangUp), [502, 3]);
    assert.deepEqual(await asked(PICTURE, {}, gateway(503), gateway(503), gateway(503)), [502, 3]);
    assert.deepEqual(await asked("/api/jobs", {}), [200, 1]);
  });

  test("is handed a job again, under the same id", LIMIT, async () => {
    const body = JSON.stringify({ prompt: "p", seed: 1 });
    const generate = { method: "POST", body, headers: { "content-type": "application/json" } };
    for (const failure of [hangUp, gateway(503)]) {
      const ids = [];
      const failing = (request, response) => ids.push(request.url) && failure(request, response);
      const fine = (request, response) => ids.push(request.url) && json(response, 200, {});
      assert.deepEqual(await asked("/api/media/generate-image", generate, failing, fine), [200, 2]);
      assert.match(ids[0], /\?job=[0-9a-f-]{36}$/);
      assert.equal(ids[0], ids[1]);
    }
  });

  test("is asked once for what may not be done twice, and for what is answered", LIMIT, async () => {
    for (const failure of [hangUp, gateway(503)]) {
      assert.deepEqual(await asked("/api/jobs/1", { method: "DELETE" }, failure), [502, 1]);
    }
    for (const status of [404, 429, 500]) {
      const refusal = (request, response) => refuse(request, response, status, "internal_error");
      assert.deepEqual(await asked("/api/jobs", {}, refusal), [status, 1]);
    }
  });
});

describe("an origin that fails again and again", () => {
  const edge = useEdge();

  test("is left alone, and tried by one request after a while", LIMIT, async () => {
    assert.equal((await edge.fetch("/api/jobs")).status, 200);
    edge.origin.answer = hangUp;
    // Not to be repeated, so that each counts once.
    const fail = () => edge.fetch("/api/jobs/1", { method: "DELETE" });
    for (let i = 0; i < 5; i += 1) await problem(await fail(), 502, "origin_unreachable");

    edge.origin.requests.length = 0;
    for (const path of ["/api/jobs", "/api/jobs/1/events", PICTURE]) {
      const response = await edge.fetch(path);
      assert.equal(response.headers.get("retry-after"), "5");
      await problem(response, 503, "unavailable");
    }
    assert.equal(edge.origin.requests.length, 0);
    assert.equal((await edge.fetch("/healthz")).status, 200);

    const probe = new Promise((resolve) => {
      edge.origin.answer = (request, response) => resolve(response);
    });
    const tries = [];
    const untilProbed = probe.then(() => (tries.done = true));
    while (!tries.done) {
      tries.push(edge.fetch("/api/jobs"));
      await Promise.race([tries.at(-1), untilProbed]);
    }
    // While one tries, the others still hear that it is no use.
    await problem(await edge.fetch("/api/jobs"), 503, "unavailable");
    edge.origin.answer = ok;
    json(await probe, 200, {});
    assert.equal((await tries.at(-1)).status, 200);
    for (let i = 0; i < 3; i += 1) assert.equal((await edge.fetch("/api/jobs")).status, 200);
  });

  test("but says so in its own words is up", LIMIT, async () => {
    edge.origin.requests.length = 0;
    for (const code of ["unavailable", "storage_unavailable"]) {
      edge.origin.answer = (request, response) => refuse(request, response, 503, code);
      for (let i = 0; i < 7; i += 1) {
        await problem(await edge.fetch("/api/jobs/1", { method: "DELETE" }), 503, code);
      }
    }
    assert.equal(edge.origin.requests.length, 14);
  });
});

describe("several origins", () => {
  const edge = useEdge({ origins: 3, bindings: { ORIGIN_TIMEOUT_SECONDS: "2" } });
  const counts = () => edge.origins.map((origin) => origin.requests.splice(0).length);
  const all = (answer) => edge.origins.forEach((origin) => (origin.answer = answer));
  const askTimes = async (times, path = "/api/jobs", init = {}) => {
    for (let i = 0; i < times; i += 1) assert.equal((await edge.fetch(path, init)).status, 200);
    return counts();
  };

  test("share the load", LIMIT, async () => {
    all(ok);
    // One of them being left out by chance: three in 10^10.
    const [a, b, c] = await askTimes(60);
    assert.equal(a + b + c, 60);
    assert.ok(a && b && c, `${a} ${b} ${c}`);
  });

  test("stand in for each other", LIMIT, async () => {
    all(ok);
    for (const failure of [hangUp, gateway(502)]) {
      edge.origins[0].answer = failure;
      assert.deepEqual((await askTimes(60)).slice(1).reduce((a, b) => a + b), 60);
      // It has failed often enough: what may not be repeated no longer goes there.
      const [failed, ...others] = await askTimes(30, "/api/jobs/1", { method: "DELETE" });
      assert.deepEqual([failed, others[0] + others[1]], [0, 30]);
      edge.origins[0].answer = ok;
      let found = 0;
      while (!found) [found] = await askTimes(1);
    }
  });

  test("an origin that is down is found again when it is up", LIMIT, async () => {
    all(ok);
    await edge.origins[0].stop();
    await askTimes(60);
    await edge.origins[0].start();
    let found = 0;
    while (!found) [found] = await askTimes(1);
  });

  test("one that is not ready is the last choice", LIMIT, async () => {
    all(ok);
    const unready = (request, response) => refuse(request, response, 503, "unavailable");
    edge.origins[0].answer = unready;
    let found = 0;
    while (!found) [found] = await askTimes(1);
    assert.equal((await askTimes(30, "/api/jobs/1", { method: "DELETE" }))[0], 0);
  });

  test("one that hangs leaves time to ask another", LIMIT, async () => {
    all(ok);
    let hung;
    const left = new Promise((resolve) => (hung = resolve));
    edge.origins.forEach((origin) => {
      origin.answer = (request, response) => {
        all(ok);
        once(response, "close").then(hung);
      };
    });
    assert.equal((await edge.fetch("/api/jobs")).status, 200);
    await left;
  });

  test("are told apart by readyz, and none by its address", LIMIT, async () => {
    all(ok);
    edge.origins[1].answer = gateway(503);
    await edge.origins[2].stop();
    const response = await edge.fetch("/readyz", { key: null });
    assert.equal(response.status, 200);
    const origins = ["ready", "not ready", "unreachable"];
    assert.deepEqual(await response.json(), { status: "ready", edge: "ready", origin: "ready", origins });

    edge.origins[0].answer = gateway(503);
    const document = await problem(await edge.fetch("/readyz", { key: null }), 503, "unavailable");
    assert.deepEqual([document.edge, document.origin], ["ready", "not ready"]);
    assert.deepEqual(document.origins, ["not ready", "not ready", "unreachable"]);
  });
});
