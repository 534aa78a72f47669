import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { API_KEY, LIMIT, problem, useEdge } from "./harness.mjs";
import { json, raw } from "./origin.mjs";

/** What is to be seen is one failure: after several in a row the origin is left alone. */
async function settle(edge) {
  edge.origin.answer = (request, response) => json(response, 200, {});
  assert.equal((await edge.fetch("/api/models")).status, 200);
}

const PICTURE = "/generated/1700000000-01234567-89ab-cdef-0123-456789abcdef.png";

describe("an origin that is down", () => {
  const edge = useEdge({ originIsDown: true });

  test("is a problem that can be tried again", LIMIT, async () => {
    for (const answer of [
      await edge.generate({ prompt: "p" }),
      await edge.fetch("/api/models"),
      await edge.fetch("/api/jobs/1/events"),
      await edge.fetch(PICTURE, { key: null }),
    ]) {
      assert.equal(answer.headers.get("retry-after"), "5");
      // It is left alone for a while when it has failed often enough.
      if (answer.status === 503) await problem(answer, 503, "unavailable");
      else await problem(answer, 502, "origin_unreachable");
    }
  });

  test("is told apart from the edge", LIMIT, async () => {
    const health = await edge.fetch("/healthz", { key: null });
    assert.equal(health.status, 200);
    assert.equal((await health.json()).status, "ok");
    const ready = await edge.fetch("/readyz", { key: null });
    assert.equal(ready.headers.get("retry-after"), "5");
    const { edge: self, origin } = await problem(ready, 503, "unavailable");
    assert.deepEqual([self, origin], ["ready", "unreachable"]);
  });
});

describe("an origin that answers", () => {
  const edge = useEdge();

  test("but is not ready makes the edge not ready", LIMIT, async () => {
    edge.origin.answer = (request, response) => json(response, 503, {});
    const ready = await edge.fetch("/readyz", { key: null });
    const { edge: self, origin } = await problem(ready, 503, "unavailable");
    assert.deepEqual([self, origin], ["ready", "not ready"]);

    edge.origin.answer = (request, response) => json(response, 200, {});
    const response = await edge.fetch("/readyz", { key: null });
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), { status: "ready", edge: "ready", origin: "ready" });
  });

  test("as something else does is no origin", LIMIT, async () => {
    for (const [status, headers] of [
      [200, { "content-type": "text/html" }],
      [200, {}],
      [302, { location: "http://127.0.0.1/login" }],
      [403, { "content-type": "text/html" }],
      [404, { "content-type": "text/plain" }],
      [500, { "content-type": "application/json" }],
      [521, { "content-type": "text/html; charset=UTF-8" }],
      // The origin's word on the edge's signature, not on the caller's key.
      [401, { "content-type": "application/problem+json" }],
    ]) {
      edge.origin.answer = (request, response) => {
        response.writeHead(status, headers).end("<h1>127.0.0.1 is down</h1>");
      };
      await problem(await edge.fetch("/api/models"), 502, "origin_unreachable");
    }
  });

  test("a language of its own is no origin", LIMIT, async () => {
    const json = "Content-Type: application/json\r\n";
    for (const bytes of [
      "\0\xff garbage\r\n\r\n",
      `HTTP/1.1 999 X\r\n${json}Content-Length: 2\r\n\r\n{}`,
      `HTTP/1.1 99 X\r\n${json}Content-Length: 2\r\n\r\n{}`,
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
      'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n',
      `HTTP/1.1 205 Reset Content\r\n${json}\r\n`,
      `HTTP/1.1 200 OK\r\n${json}Content-Length: 9\r\n\r\n<h1>hi</h`,
      `HTTP/1.1 200 OK\r\n${json}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}`,
      `HTTP/1.1 200 OK\r\n${json}Content-Length: 0\r\n\r\n`,
      "HTTP/1.1 500 X\r\nContent-Type: application/problem+json\r\nContent-Length: 17\r\n\r\n127.0.0.1 main.rs",
    ]) {
      await settle(edge);
      edge.origin.answer = raw(bytes);
      await problem(await edge.fetch("/api/models"), 502, "origin_unreachable");
    }
  });

  test("and then breaks off does not pass for a whole answer", LIMIT, async () => {
    const json = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    for (const bytes of [
      `${json}Content-Length: 100\r\n\r\n{}`,
      `${json}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n`,
      `${json}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n`,
      // Neither length nor end: only its form tells that something is missing.
      `${json}\r\n{"items":[`,
    ]) {
      await settle(edge);
      edge.origin.answer = raw(bytes);
      await problem(await edge.fetch("/api/jobs"), 502, "origin_unreachable");
    }
  });

  test("in another encoding is understood", LIMIT, async () => {
    await settle(edge);
    edge.origin.answer = (request, response) => {
      const headers = { "content-type": "application/json", "content-encoding": "gzip" };
      response.writeHead(200, headers).end(gzipSync('{"a":1}'));
    };
    assert.deepEqual(await (await edge.fetch("/api/models")).json(), { a: 1 });
  });
});

describe("an origin that hangs", () => {
  const edge = useEdge({ bindings: { ORIGIN_TIMEOUT_SECONDS: "1" } });

  test("at any point is left alone in time", LIMIT, async () => {
    const json = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n";
    const texts = {
      nothing: "",
      headers: "HTTP/1.1 200 OK\r\nContent-",
      body: `${json}{"a":`,
      problem: json.replace("200 OK", "404 X").replace("json", "problem+json"),
      picture: json.replace("application/json", "image/png"),
    };
    const left = [];
    edge.origin.answer = ({ headers }, { socket }) => {
      left.push(once(socket, "close"));
      socket.write(texts[headers["x-request-id"]]);
    };
    const asked = Object.keys(texts).flatMap((id) =>
      ["/api/models", "/api/jobs/1/events", PICTURE].map((path) =>
        edge.fetch(path, { headers: { "x-request-id": id } }),
      ),
    );
    for (const response of await Promise.all(asked)) {
      assert.equal(response.headers.get("retry-after"), "5");
      await problem(response, 504, "origin_timeout");
    }
    assert.equal(left.length, asked.length);
    await Promise.all(left);
  });
});

for (const [name, value] of [
  ["ADMIN_KEY_SHA256", undefined],
  ["ADMIN_KEY_SHA256", "abc"],
  ["ORIGIN_SECRETS", undefined],
  ["ORIGIN_SECRETS", "short:secret"],
  ["ORIGIN_URL", undefined],
  ["ORIGIN_URL", "http://127.0.0.1/api"],
  ["ORIGIN_URL", "http://a b"],
  ["ORIGIN_URL", "http://127.0.0.1:1,"],
  ["ORIGIN_TIMEOUT_SECONDS", "0"],
]) {
  describe(`${name} set to ${value}`, () => {
    const edge = useEdge({ bindings: { [name]: value } });

    test("is a problem whose reason is in the log alone", LIMIT, async () => {
      const response = await edge.generate({ prompt: "p" });
      const { detail } = await problem(response, 503, "unavailable");
      assert.ok(!detail.includes(name));
      await edge.log.until(new RegExp(`the setting ${name} `));
      assert.ok(!edge.log.text.includes(API_KEY));
      assert.equal((await edge.fetch("/healthz")).status, 200);

      const ready = await problem(await edge.fetch("/readyz", { key: null }), 503, "unavailable");
      assert.deepEqual([ready.edge, ready.origin], ["not configured", "not asked"]);
    });
  });
}
