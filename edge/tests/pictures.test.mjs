import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import test, { beforeEach } from "node:test";
import { LIMIT, problem, useEdge } from "./harness.mjs";
import { refuse } from "./origin.mjs";

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
  assert.equal(response.headers.get("accept-ranges"), "bytes");
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

test("who wants this very picture and no other is told when it is another", LIMIT, async () => {
  const path = fresh();
  for (const tag of ['"abc"', '"x", "abc"', "*"]) {
    await checkPicture(await edge.fetch(path, { key: null, headers: { "if-match": tag } }));
  }
  for (const tag of ['"x"', 'W/"abc"', "abc"]) {
    const response = await edge.fetch(path, { key: null, headers: { "if-match": tag } });
    const { errors } = await problem(response, 412, "invalid_request");
    assert.equal(errors[0].field, "If-Match");
  }
});

test("a range is answered alike from origin and cache", LIMIT, async () => {
  const last = PNG.length - 1;
  const path = fresh();
  for (const status of ["darkroom-edge; fwd=miss; stored", "darkroom-edge; hit"]) {
    for (const [range, from, to] of [
      ["bytes=0-0", 0, 0],
      ["bytes=5-9", 5, 9],
      ["bytes=99990-", 99_990, last],
      [`bytes=7-${"9".repeat(30)}`, 7, last],
      ["bytes=-10", last - 9, last],
      ["bytes=-200000", 0, last],
    ]) {
      const target = status.endsWith("hit") ? path : fresh();
      const response = await edge.fetch(target, { key: null, headers: { range } });
      assert.equal(response.status, 206, range);
      checkHeaders(response);
      assert.equal(response.headers.get("cache-status"), status);
      assert.equal(response.headers.get("content-range"), `bytes ${from}-${to}/${PNG.length}`);
      assert.equal(response.headers.get("content-length"), String(to - from + 1));
      const bytes = Buffer.from(await response.arrayBuffer());
      assert.ok(bytes.equals(PNG.subarray(from, to + 1)));
    }
    await checkPicture(await untilKept(path));
  }
  assert.ok(edge.origin.requests.every(({ headers }) => headers.range === undefined));
});

test("a range that is none, or of another picture, is answered with all of it", LIMIT, async () => {
  const path = fresh();
  for (const headers of [
    { range: "bytes=5-4" },
    { range: "bytes=-" },
    { range: "bytes=a-b" },
    { range: "bytes=0-1,5-6" },
    { range: "bytes=+1-2" },
    { range: "lines=1-2" },
    { range: "bytes=0-1", "if-range": '"x"' },
    { range: "bytes=0-1", "if-range": 'W/"abc"' },
    { range: "bytes=0-1", "if-range": "Wed, 21 Oct 2015 07:28:00 GMT" },
  ]) {
    await checkPicture(await edge.fetch(path, { key: null, headers }));
  }
  const same = { range: "bytes=0-1", "if-range": '"abc"' };
  assert.equal((await edge.fetch(path, { key: null, headers: same })).status, 206);
  const known = { range: "bytes=0-1", "if-none-match": '"abc"' };
  assert.equal((await edge.fetch(path, { key: null, headers: known })).status, 304);
  const head = { method: "HEAD", key: null, headers: { range: "bytes=0-1" } };
  assert.equal((await edge.fetch(path, head)).status, 200);
});

test("a range outside the picture is a problem that names its size", LIMIT, async () => {
  for (const range of ["bytes=100000-", "bytes=100000-100001", "bytes=-0", `bytes=${"9".repeat(30)}-`]) {
    const response = await edge.fetch(fresh(), { key: null, headers: { range } });
    assert.equal(response.headers.get("content-range"), `bytes */${PNG.length}`);
    const { errors } = await problem(response, 416, "invalid_request");
    assert.equal(errors[0].field, "Range");
  }
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
  edge.origin.answer = (request, response) => refuse(request, response, 404, "not_found");
  await problem(await edge.fetch(path, { key: null }), 404, "not_found");
  edge.origin.answer = (request, response) => response.writeHead(200, headers).end(PNG);
  await checkPicture(await edge.fetch(path, { key: null }));
});

test("a store that is down is told apart from an origin that is", LIMIT, async () => {
  edge.origin.answer = (request, response) => refuse(request, response, 503, "storage_unavailable");
  const response = await edge.fetch(fresh(), { key: null });
  assert.equal(response.headers.get("retry-after"), "10");
  await problem(response, 503, "storage_unavailable");
});

test("what is no picture is neither answered nor kept as one", LIMIT, async () => {
  for (const [status, type] of [
    [200, "text/html"],
    [200, "image/webp"],
    [206, "image/png"],
    [404, "image/png"],
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

test("an empty file is no picture", LIMIT, async () => {
  edge.origin.answer = (request, response) => response.writeHead(200, { "content-type": "image/png" }).end();
  await problem(await edge.fetch(fresh(), { key: null }), 502, "origin_unreachable");
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
