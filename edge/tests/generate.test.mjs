import assert from "node:assert/strict";
import { connect } from "node:net";
import test, { beforeEach } from "node:test";
import { gzipSync } from "node:zlib";
import { API_KEY, LIMIT, openAiError, problem, useEdge } from "./harness.mjs";
import { json, refuse } from "./origin.mjs";

const MAX_BODY = 20 * 1024 * 1024;
const MAX_SEED = 2 ** 53 - 1;
const edge = useEdge();

beforeEach(() => {
  edge.origin.requests.length = 0;
  edge.origin.answer = (request, response) => json(response, 200, { image_url: "x" });
});

test("a seed is drawn where there is none, another one each time", LIMIT, async () => {
  const seeds = new Set();
  for (const body of [{ prompt: "é" }, { prompt: "é", seed: null }, { prompt: "é", n: 10 }]) {
    const response = await edge.generate(body);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("cache-control"), "no-store");
    assert.deepEqual(await response.json(), { image_url: "x" });
    const { seed, ...rest } = JSON.parse(edge.origin.takeOne().body);
    assert.ok(Number.isSafeInteger(seed) && seed >= 0 && seed + (body.n ?? 1) - 1 <= MAX_SEED);
    seeds.add(seed);
    const { seed: _, ...sent } = body;
    assert.deepEqual(rest, sent);
  }
  assert.equal(seeds.size, 3);
});

test("a given seed goes on with the very bytes that were sent", LIMIT, async () => {
  for (const seed of [0, 7, MAX_SEED]) {
    const body = `{ "prompt":\n"a fox", "seed": ${seed} }`;
    assert.equal((await edge.generate(body)).status, 200);
    assert.equal(edge.origin.takeOne().body, body);
  }
});

test("caller, wait and request id reach the origin, and the id comes back", LIMIT, async () => {
  const headers = { "x-request-id": "my.id_1-2", prefer: "wait=5", "darkroom-caller": "mallory" };
  const response = await edge.generate({ prompt: "p" }, { headers });
  assert.equal(response.headers.get("x-request-id"), "my.id_1-2");
  const sent = edge.origin.takeOne();
  assert.equal(sent.method, "POST");
  assert.match(sent.url, /^\/api\/media\/generate-image\?job=[0-9a-f-]{36}$/);
  assert.equal(sent.headers["darkroom-caller"], "admin");
  assert.equal(sent.headers.prefer, "wait=5");
  assert.equal(sent.headers["x-request-id"], "my.id_1-2");
  assert.equal(sent.headers["content-type"], "application/json");
});

test("the wait is bounded", LIMIT, async () => {
  for (const [prefer, forwarded] of [
    [undefined, undefined],
    ["wait=100000", "wait=90"],
    ["handling=lenient, wait=5, respond-async", "respond-async, wait=5"],
    ["nonsense", undefined],
  ]) {
    await edge.generate({ prompt: "p" }, { headers: prefer ? { prefer } : {} });
    assert.equal(edge.origin.takeOne().headers.prefer, forwarded);
  }
});

test("an insane request id is replaced", LIMIT, async () => {
  for (const id of ["a b", "é", "x".repeat(129), "<script>", '"']) {
    const response = await edge.generate({ prompt: "p" }, { headers: { "x-request-id": id } });
    const made = response.headers.get("x-request-id");
    assert.match(made, /^[0-9a-f-]{36}$/);
    assert.equal(edge.origin.takeOne().headers["x-request-id"], made);
  }
});

test("an accepted job's status, place and body pass through", LIMIT, async () => {
  const headers = { location: "/api/jobs/1", "retry-after": "2", "x-powered-by": "secret" };
  edge.origin.answer = (request, response) => json(response, 202, { job: { id: "1" } }, headers);
  const response = await edge.generate({ prompt: "p" }, { headers: { prefer: "respond-async" } });
  assert.equal(response.status, 202);
  assert.equal(response.headers.get("location"), "/api/jobs/1");
  assert.equal(response.headers.get("retry-after"), "2");
  assert.equal(response.headers.get("x-powered-by"), null);
  assert.deepEqual(await response.json(), { job: { id: "1" } });
});

test("no address that only the edge can reach gets out", LIMIT, async () => {
  for (const [location, passed] of [
    [(host) => `http://${host}/api/jobs/1`, "/api/jobs/1"],
    [(host) => `http://${host}9/api/jobs/1`, null],
    [(host) => `http://${host}@10.0.0.5/api/jobs/1`, null],
    [(host) => `http://${host}`, null],
    [() => "http://10.0.0.5:8788/api/jobs/1", null],
    [() => "//10.0.0.5/api/jobs/1", null],
  ]) {
    edge.origin.answer = (request, response) => {
      json(response, 202, {}, { location: location(request.headers.host) });
    };
    const response = await edge.generate({ prompt: "p" });
    assert.equal(response.status, 202);
    assert.equal(response.headers.get("location"), passed);
  }
});

test("the origin's problems pass through", LIMIT, async () => {
  edge.origin.answer = (request, response) => {
    response.setHeader("retry-after", "10");
    refuse(request, response, 429, "queue_full");
  };
  const response = await edge.generate({ prompt: "p" });
  assert.equal(response.headers.get("retry-after"), "10");
  await problem(response, 429, "queue_full");
});

test("wrong values are answered at the edge, each field by name", LIMIT, async () => {
  const response = await edge.generate({ prompt: " ", steps: "20", colour: "red", seed: -1 });
  const { errors } = await problem(response, 422, "invalid_request");
  assert.deepEqual(errors.map(({ field }) => field).sort(), ["colour", "prompt", "seed", "steps"]);
  assert.equal(edge.origin.requests.length, 0);
});

test("a picture that is sent along is looked at before it goes on", LIMIT, async () => {
  const begun = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB";
  const body = JSON.stringify({ prompt: "p", seed: 1, init_image: begun, strength: 0.5 });
  assert.equal((await edge.generate(body)).status, 200);
  assert.equal(edge.origin.takeOne().body, body);

  const svg = "data:image/svg+xml;base64,PHN2Zy8+";
  const response = await edge.generate({ prompt: "p", init_image: svg, mask: "https://10.0.0.1/c" });
  const { errors } = await problem(response, 422, "invalid_request");
  assert.deepEqual(errors.map(({ field }) => field), ["init_image", "mask"]);
  assert.equal(edge.origin.requests.length, 0);
});

test("what is no JSON object is malformed", LIMIT, async () => {
  const deep = `{"prompt":${"[".repeat(100_000)}`;
  const notUtf8 = Buffer.from('{"prompt":"\xff"}', "latin1");
  for (const body of ["", "{", "[]", "null", '{"prompt":"p"}}', "\0", '{"prompt":"\\ud800"}', deep, notUtf8]) {
    await problem(await edge.generate(body), 400, "malformed_request");
  }
  const noBody = await edge.generate(undefined, { body: null });
  await problem(noBody, 400, "malformed_request");
  assert.equal(edge.origin.requests.length, 0);
});

test("other media types are refused", LIMIT, async () => {
  for (const type of ["text/plain", "application/jsonx", "multipart/form-data; boundary=x", ""]) {
    const response = await edge.generate({ prompt: "p" }, { headers: { "content-type": type } });
    await problem(response, 415, "unsupported_media_type");
  }
  const withCharset = { "content-type": "Application/JSON; charset=utf-8" };
  assert.equal((await edge.generate({ prompt: "p" }, { headers: withCharset })).status, 200);
});

test("an encoded body is refused", LIMIT, async () => {
  const headers = { "content-encoding": "gzip" };
  await problem(await edge.generate(gzipSync('{"prompt":"p"}'), { headers }), 415, "unsupported_media_type");
  const form = await new Response(new FormData()).blob();
  const body = gzipSync(await form.bytes());
  const typed = { ...headers, "content-type": form.type };
  await openAiError(await edge.fetch("/v1/images/edits", { method: "POST", headers: typed, body }), 415, "unsupported_media_type");
});

test("too large a body is refused, announced or not", LIMIT, async () => {
  const chunk = Buffer.alloc(1024 * 1024, " ");
  const upload = (headers, chunks) =>
    edge.upload("/api/media/generate-image", { "content-type": "application/json", ...headers }, chunks);
  const announced = await upload({ "content-length": MAX_BODY + 1 }, []);
  assert.equal(announced.status, 413);
  const chunked = await upload({ "transfer-encoding": "chunked" }, Array(21).fill(chunk));
  assert.equal(chunked.status, 413);
  assert.equal(chunked.body.code, "body_too_large");
  assert.equal(edge.origin.requests.length, 0);

  const largest = `{"prompt":"p"}`.padEnd(MAX_BODY, " ");
  assert.equal((await edge.generate(largest)).status, 200);
});

test("a body is no longer than it announced, in chunks neither", LIMIT, async () => {
  const { hostname, port } = new URL(edge.url);
  const socket = connect(port, hostname).setEncoding("utf8");
  const text = '{"prompt":"p"}';
  socket.write(
    "POST /api/media/generate-image HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n" +
      `Authorization: Bearer ${API_KEY}\r\nContent-Type: application/json\r\n` +
      "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" +
      `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`,
  );
  let answer = "";
  for await (const piece of socket) answer += piece;
  assert.match(answer, /^HTTP\/1\.1 400 /);
  assert.match(answer, /longer than its Content-Length/);
});
