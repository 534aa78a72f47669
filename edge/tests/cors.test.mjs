// What answers say to browsers: who may read them, and what they may do as a page.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { API_KEY, LIMIT, problem, useEdge } from "./harness.mjs";

const HOME = "https://app.example.com";
const FILE = "1700000000-01234567-89ab-cdef-0123-456789abcdef.png";
const ALLOW = "access-control-allow-origin";
const list = (response, name) => response.headers.get(name)?.split(", ") ?? [];

const asks = (origin, method = "POST") => ({
  method: "OPTIONS",
  key: null,
  headers: { origin, "access-control-request-method": method, "access-control-request-headers": "authorization" },
});

describe("pages of configured origins", () => {
  const edge = useEdge({ bindings: { CORS_ORIGINS: `${HOME}, http://localhost:3000` } });

  test("are told before they ask what they may, with no key", LIMIT, async () => {
    for (const [path, methods] of [
      ["/api/media/generate-image", ["POST"]],
      ["/api/jobs/1", ["GET", "DELETE"]],
      ["/api/keys", ["GET", "POST"]],
    ]) {
      const response = await edge.fetch(path, asks(HOME));
      assert.equal(response.status, 204);
      assert.equal(await response.text(), "");
      assert.equal(response.headers.get(ALLOW), HOME);
      assert.equal(response.headers.get("vary"), "Origin");
      assert.equal(response.headers.get("access-control-allow-credentials"), null);
      assert.deepEqual(list(response, "access-control-allow-methods"), methods);
      // As browsers read it: what OpenAI's client sends of its own too, and the one that needs its name.
      assert.deepEqual(list(response, "access-control-allow-headers"), ["authorization", "*"]);
      assert.ok(Number(response.headers.get("access-control-max-age")) > 0);
    }
    assert.equal(edge.origin.requests.length, 0);
  });

  test("may read answers, problems as well", LIMIT, async () => {
    for (const [path, init] of [
      ["/api/jobs", {}],
      ["/api/jobs", { key: null }],
      ["/nowhere", {}],
      ["/api/jobs", { method: "PUT" }],
    ]) {
      for (const origin of [HOME, "http://localhost:3000"]) {
        const response = await edge.fetch(path, { ...init, headers: { origin } });
        assert.equal(response.headers.get(ALLOW), origin);
        assert.equal(response.headers.get("vary"), "Origin");
        assert.deepEqual(list(response, "access-control-expose-headers"), ["*"]);
      }
    }
  });

  test("are no others", LIMIT, async () => {
    for (const origin of ["https://evil.example", `${HOME}.evil.example`, `${HOME}:8443`, "http://app.example.com", "null", ""]) {
      const answer = await edge.fetch("/api/jobs", { headers: { origin } });
      assert.deepEqual([answer.status, answer.headers.get(ALLOW)], [200, null]);
      assert.equal(answer.headers.get("vary"), "Origin");
      const response = await edge.fetch("/api/jobs", asks(origin));
      assert.equal(response.headers.get(ALLOW), null);
      await problem(response, 405, "method_not_allowed");
    }
    await problem(await edge.fetch("/nowhere", asks(HOME)), 404, "not_found");
    // It asks nothing: what may be asked is not told.
    const plain = await edge.fetch("/api/jobs", { method: "OPTIONS", headers: { origin: HOME } });
    await problem(plain, 405, "method_not_allowed");
  });

  test("may show any picture, as all pages may", LIMIT, async () => {
    edge.origin.answer = (request, response) => response.writeHead(200, { "content-type": "image/png" }).end("png");
    const response = await edge.fetch(`/generated/${FILE}`, { key: null, headers: { origin: "https://evil.example" } });
    assert.deepEqual([response.headers.get(ALLOW), response.headers.get("vary")], ["*", null]);
  });
});

describe("all pages", () => {
  const edge = useEdge({ bindings: { CORS_ORIGINS: "*" } });

  test("may call where that is configured", LIMIT, async () => {
    for (const origin of [HOME, "null"]) {
      assert.equal((await edge.fetch("/api/jobs", asks(origin))).status, 204);
      assert.equal((await edge.fetch("/api/jobs", { headers: { origin } })).headers.get(ALLOW), "*");
    }
  });
});

describe("no page", () => {
  for (const [setting, edge] of [undefined, "", "https://app.example.com/", "example.com"].map((value) => [
    value,
    useEdge({ bindings: { CORS_ORIGINS: value } }),
  ])) {
    test(`may call where CORS_ORIGINS is ${setting}`, LIMIT, async () => {
      const answer = await edge.fetch("/api/jobs", { headers: { origin: HOME } });
      assert.deepEqual([answer.status, answer.headers.get(ALLOW), answer.headers.get("vary")], [200, null, null]);
      await problem(await edge.fetch("/api/jobs", asks(HOME)), 405, "method_not_allowed");
      if (setting) {
        await edge.log.until(/the setting CORS_ORIGINS /);
        await problem(await edge.fetch("/readyz"), 503, "unavailable");
      }
    });
  }
});

describe("an answer", () => {
  const edge = useEdge();

  test("opened as a page does nothing", LIMIT, async () => {
    edge.origin.answer = (request, response) => response.writeHead(200, { "content-type": "image/png" }).end("png");
    for (const path of ["/healthz", "/api/jobs", "/nowhere", `/generated/${FILE}`]) {
      const { headers } = await edge.fetch(path);
      assert.equal(headers.get("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
      assert.equal(headers.get("x-content-type-options"), "nosniff");
      assert.equal(headers.get("referrer-policy"), "no-referrer");
      assert.equal(headers.get("strict-transport-security"), null, "over http nobody may believe it");
    }
    const headers = { authorization: `Bearer ${API_KEY}` };
    const safe = await edge.miniflare.dispatchFetch("https://edge.example.com/healthz", { headers });
    assert.equal(safe.headers.get("strict-transport-security"), "max-age=31536000");
  });
});
