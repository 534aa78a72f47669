import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import test, { beforeEach } from "node:test";
import { API_KEY, LIMIT, problem, useEdge } from "./harness.mjs";
import { json } from "./origin.mjs";

const edge = useEdge();
const FILE = "1700000000-01234567-89ab-cdef-0123-456789abcdef.png";

beforeEach(() => {
  edge.origin.requests.length = 0;
  edge.origin.answer = (request, response) => json(response, 200, {});
});

test("what is not in the table is not found", LIMIT, async () => {
  const paths = ["/", "/api", "/api/", "/api/jobs/", "/api/jobs/a/b", "/api/jobs/1/events/", "/API/jobs"];
  for (const path of [...paths, "/healthz/", "//healthz", "/private/generated/x", "/metrics"]) {
    await problem(await edge.fetch(path), 404, "not_found");
  }
  assert.equal(edge.origin.requests.length, 0);
});

test("a known path tells which methods it takes", LIMIT, async () => {
  for (const [path, method, allowed] of [
    ["/api/media/generate-image", "GET", "POST"],
    ["/api/jobs", "POST", "GET"],
    ["/api/jobs/1", "PUT", "GET, DELETE"],
    ["/api/models", "DELETE", "GET"],
    ["/healthz", "POST", "GET, HEAD"],
    [`/generated/${FILE}`, "DELETE", "GET, HEAD, OPTIONS"],
    [`/private/generated/${FILE}`, "PUT", "GET, HEAD, OPTIONS"],
    ["/api/images/1/signed-url", "GET", "POST"],
    // Methods that the runtime knows and the library takes for GET.
    ["/api/jobs", "PROPFIND", "GET"],
    ["/healthz", "OPTIONS", "GET, HEAD"],
  ]) {
    const response = await edge.fetch(path, { method });
    assert.equal(response.headers.get("allow"), allowed, `${method} ${path}`);
    await problem(response, 405, "method_not_allowed");
  }
  assert.equal(edge.origin.requests.length, 0);
});

test("what the edge only passes on arrives as it was asked", LIMIT, async () => {
  for (const [method, path] of [
    ["GET", "/api/jobs"],
    ["GET", "/api/jobs?cursor=a%2Fb+c&limit=2"],
    ["GET", "/api/jobs/0193-ab_c"],
    ["DELETE", "/api/jobs/0193-ab_c"],
    ["GET", "/api/images?deleted=true&limit=2"],
    ["GET", "/api/images/0193-ab_c"],
    ["GET", "/api/images/0193-ab_c/versions?cursor=x"],
    ["GET", "/api/models"],
  ]) {
    const response = await edge.fetch(path, { method });
    assert.equal(response.status, 200);
    const sent = edge.origin.takeOne();
    assert.deepEqual([sent.method, sent.url, sent.body], [method, path, ""]);
    assert.equal(sent.headers["darkroom-caller"], "admin");
  }
});

test("a query is signed as it is sent, whatever is in it", LIMIT, async () => {
  for (const query of ["", "?a=?b", "a='b\"c<d>e`f{g}|h^i[j]\\k", "a=\xe9\xff", "a=%zz%00%ff", "a=\tb", "a=b#c?d", "&&=;"]) {
    assert.equal(await rawStatus(`/api/jobs?${query}`, { key: API_KEY }), 200, query);
    assert.equal(edge.origin.takeOne().url.split("?")[0], "/api/jobs");
  }
  await problem(await edge.fetch(`/api/jobs?cursor=${"x".repeat(5000)}`), 400, "malformed_request");
  assert.equal(edge.origin.requests.length, 0);
});

test("a flood of headers drowns nothing", LIMIT, async () => {
  const headers = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`x-${i}`, "y"]));
  assert.equal((await edge.fetch("/api/models", { headers })).status, 200);
  assert.equal(edge.origin.takeOne().headers["x-1"], undefined);
});

test("an answer without a body stays one", LIMIT, async () => {
  edge.origin.answer = (request, response) => response.writeHead(204).end();
  const response = await edge.fetch("/api/webhooks/deliveries/1/resend", { method: "POST" });
  assert.equal(response.status, 204);
  assert.equal(await response.text(), "");
});

test("no path plays tricks", LIMIT, async () => {
  for (const target of [
    "/generated/../api/jobs",
    `/generated/../${FILE}`,
    `/generated/../private/generated/${FILE}`,
    `/private/generated/${FILE}`,
    `/generated/%2e%2e/${FILE}`,
    `/generated/..%2f${FILE}`,
    `/generated/%2e%2e%2f${FILE}`,
    `/generated/${FILE}%00`,
    `/generated/${FILE}%00.png`,
    `/generated/${FILE}/`,
    `/generated//${FILE}`,
    `/generated/${FILE}%2f..%2fx.png`,
    "/generated/%5c..%5cx.png",
    "/generated/\\..\\x.png",
    "/generated/%",
    "/generated/%zz.png",
    "/generated/é.png",
    "/api/jobs/..%2fmodels",
    "/api/jobs/%2e%2e",
    "/api/jobs/a%20b",
    `/api/jobs/${"a".repeat(65)}`,
    `/generated/${"../".repeat(50)}etc/passwd`,
    `/${"a".repeat(8000)}`,
  ]) {
    const status = await rawStatus(target);
    assert.ok(status >= 400 && status < 500, `${status} for ${target}`);
  }
  assert.equal(edge.origin.requests.length, 0);
});

/** Asks for a target byte by byte: a client library would tidy it up. */
async function rawStatus(target, { key } = {}) {
  const { hostname, port, host } = new URL(edge.url);
  const socket = connect(Number(port), hostname);
  const authorization = key ? `Authorization: Bearer ${key}\r\n` : "";
  const head = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${authorization}\r\n`;
  socket.write(Buffer.from(head, "latin1"));
  const [data] = await once(socket.setEncoding("latin1"), "data");
  socket.destroy();
  return Number(/^HTTP\/1\.1 (\d+)/.exec(data)?.[1]);
}
