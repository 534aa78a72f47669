// The catalog of posts, as the edge passes it on.
import assert from "node:assert/strict";
import test, { beforeEach } from "node:test";
import { LIMIT, problem, useEdge } from "./harness.mjs";
import { json, refuse } from "./origin.mjs";

const edge = useEdge();
const ETAG = '"0193-1"';
const POST = { slug: "a-post", title: "A post", status: "published" };

beforeEach(() => {
  edge.origin.requests.length = 0;
  edge.origin.answer = (request, response) => json(response, 200, POST, { etag: ETAG });
});

test("published posts need no key, and are kept for a moment", LIMIT, async () => {
  for (const path of ["/api/posts", "/api/posts?q=a%20b&tag=c&limit=5", "/api/posts/a-post"]) {
    const response = await edge.fetch(path, { key: null });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("etag"), ETAG);
    assert.equal(response.headers.get("cache-control"), "public, max-age=0, s-maxage=30");
    assert.match(response.headers.get("vary"), /authorization/i);
    assert.deepEqual(await response.json(), POST);
    const sent = edge.origin.takeOne();
    assert.deepEqual([sent.method, sent.url], ["GET", path]);
    assert.equal(sent.headers["darkroom-caller"], "anonymous");
  }
});

test("who comes with a key is known by it, and its answers are no one else's", LIMIT, async () => {
  const response = await edge.fetch("/api/posts/a-post");
  assert.equal(response.headers.get("cache-control"), "private, no-cache");
  assert.equal(edge.origin.takeOne().headers["darkroom-caller"], "admin");
  await problem(await edge.fetch("/api/posts", { key: "dk_wrong" }), 401, "unauthorized");
  assert.equal(edge.origin.requests.length, 0);
});

test("what the caller has is not sent again", LIMIT, async () => {
  edge.origin.answer = (request, response) => response.writeHead(304, { etag: ETAG }).end();
  for (const key of [null, undefined]) {
    const response = await edge.fetch("/api/posts/a-post", { key, headers: { "if-none-match": ETAG } });
    assert.equal(response.status, 304);
    assert.equal(response.headers.get("etag"), ETAG);
    assert.equal(await response.text(), "");
    assert.equal(edge.origin.takeOne().headers["if-none-match"], ETAG);
  }
});

test("a problem of the origin's is passed on, and kept by nobody", LIMIT, async () => {
  edge.origin.answer = (request, response) => refuse(request, response, 404, "not_found");
  await problem(await edge.fetch("/api/posts/none", { key: null }), 404, "not_found");
  edge.origin.answer = (request, response) => refuse(request, response, 412, "precondition_failed");
  const response = await edge.fetch("/api/posts/a-post", { method: "DELETE", headers: { "if-match": '"x"' } });
  await problem(response, 412, "precondition_failed");
});

test("writing needs the scope posts:write, and goes on as it was sent", LIMIT, async () => {
  const { key: reader } = await edge.newKey({ scopes: ["read", "generate"] });
  const { key: writer, account } = await edge.newKey({ scopes: ["posts:write"] });
  const body = JSON.stringify({ title: "A post" });
  for (const [method, path, status, sends] of [
    ["POST", "/api/posts", 201, body],
    ["PATCH", "/api/posts/a-post", 200, body],
    ["DELETE", "/api/posts/a-post", 204, undefined],
    ["POST", "/api/posts/a-post/restore", 200, undefined],
  ]) {
    const headers = { "if-match": ETAG, ...(sends && { "content-type": "application/json" }) };
    const call = (key) => edge.fetch(path, { method, key, headers, body: sends });
    await problem(await call(reader), 403, "forbidden");
    assert.equal(edge.origin.requests.length, 0);
    edge.origin.answer = (request, response) =>
      status === 204
        ? response.writeHead(204).end()
        : json(response, status, POST, { etag: ETAG, ...(status === 201 && { location: "/api/posts/a-post" }) });
    const response = await call(writer);
    assert.equal(response.status, status);
    assert.equal(response.headers.get("etag"), status === 204 ? null : ETAG);
    assert.equal(response.headers.get("location"), status === 201 ? "/api/posts/a-post" : null);
    const sent = edge.origin.takeOne();
    assert.deepEqual([sent.method, sent.url, sent.body], [method, path, sends ?? ""]);
    assert.equal(sent.headers["if-match"], ETAG);
    assert.equal(sent.headers["darkroom-caller"], account);
  }
});

test("a body that is no JSON or too large stays here", LIMIT, async () => {
  await problem(await edge.fetch("/api/posts", { method: "POST", body: "x" }), 415, "unsupported_media_type");
  const large = JSON.stringify({ title: "a", content: "a".repeat(2 * 1024 * 1024) });
  await problem(await edge.post("/api/posts", large), 413, "body_too_large");
  assert.equal(edge.origin.requests.length, 0);
});

test("a post that is sent twice under one key is made once", LIMIT, async () => {
  edge.origin.answer = (request, response) => json(response, 201, POST, { etag: ETAG });
  const send = () => edge.post("/api/posts", { title: "A post" }, { headers: { "idempotency-key": "k" } });
  const first = await send();
  const second = await send();
  assert.deepEqual([first.status, second.status], [201, 201]);
  assert.equal(second.headers.get("idempotency-replayed"), "true");
  edge.origin.takeOne();
});
