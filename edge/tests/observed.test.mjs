// What an operator sees of a request: its id, its trace, its times, its line in the log.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { API_KEY, LIMIT, ORIGIN_SECRET, problem, useEdge } from "./harness.mjs";
import { json } from "./origin.mjs";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const FILE = "1700000000-01234567-89ab-cdef-0123-456789abcdef.png";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const edge = useEdge();

beforeEach(() => {
  edge.origin.requests.length = 0;
  edge.origin.answer = (request, response) => json(response, 200, {});
});

test("a request keeps its id, or gets one where it has none that is fit for a log", LIMIT, async () => {
  for (const [sent, kept] of [["a-1_b.c", true], ["x".repeat(128), true], ["x".repeat(129), false], ["a b", false], ['{"a":1}', false]]) {
    const response = await edge.fetch("/api/jobs", { headers: { "x-request-id": sent } });
    const id = response.headers.get("x-request-id");
    if (kept) assert.equal(id, sent);
    else assert.match(id, UUID);
    assert.equal(edge.origin.takeOne().headers["x-request-id"], id);
  }
  const ids = ["/healthz", "/nowhere", "/healthz"].map(async (path) => (await edge.fetch(path)).headers.get("x-request-id"));
  assert.equal(new Set(await Promise.all(ids)).size, 3);
});

test("a trace goes on to the origin, with the edge's span as the parent", LIMIT, async () => {
  for (const [sent, flags] of [
    [`00-${TRACE}-${SPAN}-01`, "01"],
    [`00-${TRACE}-${SPAN}-00`, "00"],
    [`cc-${TRACE}-${SPAN}-01-what-the-future-brings`, "01"],
  ]) {
    const response = await edge.fetch("/api/jobs", { headers: { traceparent: sent } });
    const { headers } = edge.origin.takeOne();
    const [, trace, span, its] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-(..)$/.exec(headers.traceparent);
    assert.deepEqual([trace, its], [TRACE, flags]);
    assert.notEqual(span, SPAN);
    const line = await edge.log.answered(response.headers.get("x-request-id"));
    assert.deepEqual([line.trace_id, line.span_id], [trace, span]);
  }
});

test("a trace begins here where there is none that can be read", LIMIT, async () => {
  const traces = new Set();
  const sent = [undefined, "", "x", `00-${TRACE}-${SPAN}`, `00-${"0".repeat(32)}-${SPAN}-01`, `ff-${TRACE}-${SPAN}-01`, `00-${TRACE.toUpperCase()}-${SPAN}-01`];
  for (const traceparent of sent) {
    await edge.fetch("/api/jobs", { headers: traceparent === undefined ? {} : { traceparent } });
    const { headers } = edge.origin.takeOne();
    const [, trace] = /^00-([0-9a-f]{32})-[0-9a-f]{16}-01$/.exec(headers.traceparent);
    traces.add(trace);
  }
  assert.equal(traces.size, sent.length);
  assert.ok(!traces.has(TRACE) && !traces.has("0".repeat(32)));
});

test("an answer tells how long it took, and how much of that the origin", LIMIT, async () => {
  const timing = async (path, init) => (await edge.fetch(path, init)).headers.get("server-timing");
  assert.match(await timing("/healthz"), /^edge;dur=\d+$/);
  assert.match(await timing("/nowhere"), /^edge;dur=\d+$/);
  const both = /^edge;dur=(\d+), origin;dur=(\d+)$/;
  const [, total, origin] = both.exec(await timing("/api/jobs"));
  assert.ok(Number(origin) <= Number(total));
  // Two questions, of which the first brings nothing: a time for both.
  assert.match((await edge.generate({ prompt: "p" })).headers.get("server-timing"), both);
  edge.origin.answer = (request, response) => response.socket.destroy();
  assert.match(await timing("/api/jobs/1", { method: "DELETE" }), both);
});

test("a request leaves one line, without words and secrets of its caller", LIMIT, async () => {
  const picture = (request, response) => response.writeHead(200, { "content-type": "image/png" }).end("png");
  const { key } = await edge.newKey({ account: "alice", scopes: ["read", "generate"] });
  const told = async (response) => {
    const { level, method, route, status, account, cache, ...line } = await edge.log.answered(response.headers.get("x-request-id"));
    const names = ["message", "milliseconds", "origin_milliseconds", "request_id", "span_id", "trace_id"];
    assert.deepEqual(Object.keys(line).sort(), names);
    assert.equal(typeof line.milliseconds, "number");
    assert.equal(status, response.status);
    if (account !== null) assert.match(account, /^[0-9a-f]{16}$/);
    return { level, line: `${method} ${route} ${status}`, account, cache, asked: line.origin_milliseconds !== null };
  };
  const post = "POST /api/media/generate-image";

  const made = await told(await edge.generate({ prompt: "a secret wish" }, { headers: { authorization: `Bearer ${key}` } }));
  assert.deepEqual({ ...made, account: null }, { level: "info", line: `${post} 200`, account: null, cache: "darkroom-edge; fwd=miss", asked: true });
  const listed = await told(await edge.fetch("/api/jobs?cursor=a-secret-place", { key }));
  assert.deepEqual([listed.line, listed.account], ["GET /api/jobs 200", made.account]);
  const other = await told(await edge.fetch("/api/jobs/a-secret-id", { method: "DELETE" }));
  assert.equal(other.line, "DELETE /api/jobs/{id} 200");
  assert.notEqual(other.account, made.account);

  const wrong = await told(await edge.generate('{"prompt": "a secret wish"'));
  assert.deepEqual([wrong.level, wrong.line, wrong.asked], ["info", `${post} 400`, false]);
  const stranger = await told(await edge.fetch("/api/jobs", { key: "dk_secret" }));
  assert.deepEqual([stranger.line, stranger.account], ["GET /api/jobs 401", null]);
  const nowhere = await told(await edge.fetch("/a-secret-place", { method: "PUT" }));
  assert.deepEqual([nowhere.line, nowhere.account], ["PUT null 404", null]);

  edge.origin.answer = picture;
  const miss = await told(await edge.fetch(`/generated/${FILE}`, { key: null }));
  assert.deepEqual([miss.line, miss.account], ["GET /generated/{file} 200", null]);
  assert.match(miss.cache, /miss/);

  edge.origin.answer = (request, response) => response.socket.destroy();
  const down = await edge.fetch("/api/jobs/1", { method: "DELETE" });
  const { request_id } = await problem(down.clone(), 502, "origin_unreachable");
  const failed = await told(down);
  assert.deepEqual([failed.level, failed.line, failed.asked], ["error", "DELETE /api/jobs/{id} 502", true]);
  const why = edge.log.lines.find((line) => line.request_id === request_id && line.message.startsWith("the origin did not answer"));
  assert.equal(why.level, "error");

  for (const secret of ["secret", API_KEY, key, ORIGIN_SECRET.secret, "alice", FILE]) {
    assert.ok(!edge.log.text.includes(secret), secret);
  }
});

describe("a dataset", () => {
  // Stands for Analytics Engine, whose own stand-in keeps nothing.
  const contents = `export default () => ({
    writeDataPoint: (point) => console.log("point " + JSON.stringify(point)),
  });`;
  const watched = useEdge({
    options: { wrappedBindings: { ANALYTICS: { scriptName: "dataset" } } },
    others: [{ name: "dataset", modules: [{ type: "ESModule", path: "dataset.js", contents }] }],
  });

  test("is told of each request", LIMIT, async () => {
    const response = await watched.fetch("/api/jobs/a-secret-id");
    assert.equal(response.status, 200);
    const [, text] = await watched.log.until(/^point (.*)$/m);
    const { indexes, blobs, doubles } = JSON.parse(text);
    const { account } = await watched.log.answered(response.headers.get("x-request-id"));
    assert.deepEqual([indexes, blobs], [["/api/jobs/{id}"], ["GET", "/api/jobs/{id}", account, ""]]);
    const [status, total, origin] = doubles;
    assert.equal(status, 200);
    assert.ok(total >= origin && origin >= 0);
  });
});
