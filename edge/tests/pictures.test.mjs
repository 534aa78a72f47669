import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import test, { beforeEach } from "node:test";
import { LIMIT, problem, useEdge } from "./harness.mjs";

const edge = useEdge();
const PNG = randomBytes(100_000);
const YEAR = "public, max-age=31536000, immutable";

let headers;
beforeEach(() => {
  edge.origin.requests.length = 0;
  headers = { "content-type": "image/png", "content-length": PNG.length, etag: '"abc"' };
  edge.origin.answer = (request, response) => response.writeHead(200, headers).end(PNG);
});

/** A picture that no test has asked for before. */
const fresh = (extension = "png") => `/generated/1700000000-${randomUUID()}.${extension}`;

function checkHeaders(response) {
  assert.equal(response.headers.get("cache-control"), YEAR);
  assert.equal(response.headers.get("etag"), '"abc"');
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  assert.ok(response.headers.get("x-request-id"));
}

async function checkPicture(response) {
  assert.equal(response.status, 200);
  checkHeaders(response);
  assert.equal(response.headers.get("content-type"), "image/png");
  assert.equal(response.headers.get("content-length"), String(PNG.length));
  assert.ok(Buffer.from(await response.arrayBuffer()).equals(PNG));
}

/** Asks until the answer comes from the cache: it is kept after the first has been sent. */
async function untilKept(path) {
  for (;;) {
    const response = await edge.fetch(path, { key: null });
    if (response.headers.get("cache-status") === "darkroom-edge; hit") return response;
    await response.arrayBuffer();
  }
}

test("a picture is asked of the origin once, without a key, and kept", LIMIT, async () => {
  const path = fresh();
  const first = await edge.fetch(path, { key: null });
  assert.equal(first.headers.get("cache-status"), "darkroom-edge; fwd=miss; stored");
  await checkPicture(first);
  const { method, url, headers } = edge.origin.takeOne();
  assert.deepEqual([method, url, headers["darkroom-caller"]], ["GET", path, "anonymous"]);

  await checkPicture(await untilKept(path));
  edge.origin.requests.length = 0;
  await checkPicture(await edge.fetch(`${path}?whatever=1`, { key: null }));
  assert.equal(edge.origin.requests.length, 0);
});

test("HEAD tells the same without the picture, and has it kept", LIMIT, async () => {
  const path = fresh();
  for (const status of ["darkroom-edge; fwd=miss; stored", "darkroom-edge; hit"]) {
    const response = await edge.fetch(path, { method: "HEAD", key: null });
    assert.equal(response.status, 200);
    checkHeaders(response);
    assert.equal(response.headers.get("content-length"), String(PNG.length));
    assert.equal(response.headers.get("cache-status"), status);
    assert.equal(await response.text(), "");
    if (status.endsWith("stored")) await checkPicture(await untilKept(path));
  }
});

test("who has the picture is told so", LIMIT, async () => {
  const path = fresh();
  for (const tag of ['"abc"', 'W/"abc"', '"x", "abc"', "*"]) {
    const response = await edge.fetch(path, { key: null, headers: { "if-none-match": tag } });
    assert.equal(response.status, 304, tag);
    checkHeaders(response);
    assert.equal(await response.text(), "");
  }
  const other = await edge.fetch(path, { key: null, headers: { "if-none-match": '"x"' } });
  await checkPicture(other);
  assert.equal(edge.origin.requests[0].headers["if-none-match"], undefined);
});

test("a picture whose origin names no tag gets one of its own", LIMIT, async () => {
  delete headers.etag;
  const path = fresh();
  const response = await edge.fetch(path, { key: null });
  const etag = response.headers.get("etag");
  assert.equal(etag, `"${path.slice("/generated/".length)}"`);
  await response.arrayBuffer();
  const again = await edge.fetch(path, { key: null, headers: { "if-none-match": etag } });
  assert.equal(again.status, 304);
});

test("a picture that is not there is not kept as missing", LIMIT, async () => {
  const path = fresh();
  edge.origin.answer = (request, response) => response.writeHead(404).end();
  await problem(await edge.fetch(path, { key: null }), 404, "not_found");
  edge.origin.answer = (request, response) => response.writeHead(200, headers).end(PNG);
  await checkPicture(await edge.fetch(path, { key: null }));
});

test("what is no picture is neither answered nor kept as one", LIMIT, async () => {
  for (const [status, type] of [
    [200, "text/html"],
    [200, "image/webp"],
    [206, "image/png"],
    [301, "image/png"],
    [500, "image/png"],
  ]) {
    const path = fresh();
    edge.origin.answer = (request, response) => {
      response.writeHead(status, { "content-type": type, location: "/x" }).end("not a picture");
    };
    const response = await edge.fetch(path, { key: null });
    assert.equal(response.headers.get("retry-after"), "5");
    await problem(response, 502, "origin_unreachable");
    edge.origin.answer = (request, response) => response.writeHead(200, headers).end(PNG);
    await checkPicture(await edge.fetch(path, { key: null }));
  }
});

test("a picture that breaks off is neither answered nor kept", LIMIT, async () => {
  const path = fresh();
  edge.origin.answer = (request, response) => {
    response.writeHead(200, headers).write(PNG.subarray(0, 10), () => response.destroy());
  };
  await problem(await edge.fetch(path, { key: null }), 502, "origin_unreachable");
  edge.origin.answer = (request, response) => response.writeHead(200, headers).end(PNG);
  await checkPicture(await edge.fetch(path, { key: null }));
});

test("each format has its own type", LIMIT, async () => {
  for (const [extension, type] of [["webp", "image/webp"], ["avif", "image/avif"], ["jpg", "image/jpeg"]]) {
    headers["content-type"] = type;
    const response = await edge.fetch(fresh(extension), { key: null });
    assert.equal(response.headers.get("content-type"), type);
    assert.equal((await response.arrayBuffer()).byteLength, PNG.length);
  }
});
