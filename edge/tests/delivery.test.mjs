import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import test, { beforeEach, describe } from "node:test";
import { LIMIT, problem, useEdge } from "./harness.mjs";
import { json } from "./origin.mjs";
import { ECDSA, RSA, check, inSeconds, queryOf, secret, signed } from "./signing.mjs";

const DOMAIN = "d111111abcdef8.cloudfront.net";
const PNG = randomBytes(1000);

const fresh = () => `/generated/1700000000-${randomUUID()}.png`;

/** An origin with one private image and all pictures. */
function serve(edge, path) {
  edge.origin.requests.length = 0;
  edge.origin.answer = (request, response) =>
    request.url.startsWith("/api/")
      ? json(response, 200, {
          ...{ id: "i1", url: "x", key: path.slice(1), width: 64, height: 64, bytes: 1, seed: 1 },
          ...{ content_type: "image/png", sha256: "0".repeat(64), visibility: "private" },
        })
      : response.writeHead(200, { "content-type": "image/png" }).end(PNG);
}

describe("with CloudFront", () => {
  const bindings = { SIGNING_KEYS: secret(ECDSA), CLOUDFRONT_DOMAIN: DOMAIN, COOKIE_DOMAIN: "example.com" };
  const edge = useEdge({ bindings });
  const path = `/private${fresh()}`;
  beforeEach(() => serve(edge, path));

  test("private images are fetched there", LIMIT, async () => {
    const image = await (await edge.fetch("/api/images/i1")).json();
    const { url } = await (await edge.post("/api/images/i1/signed-url", { ip: "192.0.2.0/24" })).json();
    for (const signed of [image.url, url]) {
      assert.equal(check(signed, ECDSA).resource, `https://${DOMAIN}${path}`);
    }
    const response = await edge.post("/api/signed-cookies");
    const { resource } = await response.json();
    assert.equal(resource, `https://${DOMAIN}/private/generated/*`);
    for (const cookie of response.headers.getSetCookie()) assert.match(cookie, /; Domain=example\.com$/);
  });

  test("only its own kind of addresses is taken", LIMIT, async () => {
    for (const route of ["/api/images/i1/signed-url", "/api/signed-cookies"]) {
      const { errors } = await problem(await edge.post(route, { ip: "2001:db8::1" }), 422, "invalid_request");
      assert.equal(errors[0].field, "ip");
    }
  });

  test("the edge goes on answering for pictures itself", LIMIT, async () => {
    assert.equal((await edge.fetch(fresh(), { key: null })).status, 200);
    const query = queryOf(signed(edge.url + path));
    assert.equal((await edge.fetch(`${path}?${query}`, { key: null })).status, 200);
  });
});

describe("with redirects", () => {
  const bindings = { DELIVERY: "redirect", CLOUDFRONT_DOMAIN: DOMAIN, SIGNING_KEYS: secret(RSA, ECDSA), SIGNING_HASH: "sha256" };
  const edge = useEdge({ bindings });
  const path = `/private${fresh()}`;
  beforeEach(() => serve(edge, path));

  test("a public picture's address leads to CloudFront", LIMIT, async () => {
    const path = fresh();
    for (const method of ["GET", "HEAD"]) {
      const response = await edge.fetch(`${path}?size=1`, { key: null, method });
      assert.equal(response.status, 302);
      assert.equal(response.headers.get("location"), `https://${DOMAIN}${path}`);
      assert.equal(response.headers.get("cache-control"), "public, max-age=3600");
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      assert.equal(await response.text(), "");
    }
    assert.equal(edge.origin.requests.length, 0);
  });

  test("a private one's does, for as long and as wide as it was signed", LIMIT, async () => {
    const { url } = await (await edge.fetch("/api/images/i1")).json();
    assert.equal(check(url, RSA).resource, `${edge.url}${path}`);
    edge.origin.requests.length = 0;
    const end = inSeconds(1000);
    for (const [options, condition] of [
      [{}, {}],
      [{ starts: 5, ip: "127.0.0.1/32" }, { IpAddress: { "AWS:SourceIp": "127.0.0.1/32" }, DateGreaterThan: { "AWS:EpochTime": 5 } }],
      [{ resource: `${edge.url}/private/*` }, {}],
    ]) {
      const query = queryOf(signed(edge.url + path, { pair: ECDSA, expires: end, ...options }));
      const response = await edge.fetch(`${path}?${query}`, { key: null });
      assert.equal(response.status, 302);
      const { policy, parameters } = check(response.headers.get("location"), RSA);
      assert.equal(parameters["Hash-Algorithm"], "SHA256");
      assert.equal(policy.Resource, `https://${DOMAIN}${path}`);
      assert.deepEqual(policy.Condition, { DateLessThan: { "AWS:EpochTime": end }, ...condition });
      const [, lasts] = /^private, max-age=(\d+)$/.exec(response.headers.get("cache-control"));
      assert.ok(lasts <= 1000 && lasts > 900, lasts);
    }
    await problem(await edge.fetch(path, { key: null }), 403, "signature_refused");
    assert.equal(edge.origin.requests.length, 0);
  });
});

describe("with redirects, a deleted picture's address", () => {
  const edge = useEdge({ bindings: { DELIVERY: "redirect", CLOUDFRONT_DOMAIN: DOMAIN, SIGNING_KEYS: secret(ECDSA) } });

  test("leads nowhere", LIMIT, async () => {
    for (const path of [fresh(), `/private${fresh()}`]) {
      const query = queryOf(signed(edge.url + path));
      const status = async () => (await edge.fetch(`${path}?${query}`, { key: null })).status;
      assert.equal(await status(), 302);
      const copy = path.replace(".png", "-w256.webp");
      const copyQuery = queryOf(signed(edge.url + copy));
      const copyStatus = async () => (await edge.fetch(`${copy}?${copyQuery}`, { key: null })).status;
      assert.equal(await copyStatus(), 302);
      const deleted = { key: path.slice(1), variants: [copy.slice(1)], recipe_sha256: "0".repeat(64), n: 1 };
      edge.origin.answer = (request, response) => json(response, 200, deleted);
      assert.equal((await edge.fetch("/api/images/i1", { method: "DELETE" })).status, 204);
      assert.equal(await status(), 404);
      assert.equal(await copyStatus(), 404);
    }
  });
});

describe("a new signing key", () => {
  const edge = useEdge({ bindings: { SIGNING_KEYS: `${secret(ECDSA)},\n${secret(RSA)}`, DELIVERY: "proxy", CLOUDFRONT_DOMAIN: DOMAIN } });
  const path = `/private${fresh()}`;
  beforeEach(() => serve(edge, path));

  test("signs from now on, and the one before goes on being taken", LIMIT, async () => {
    const { url } = await (await edge.fetch("/api/images/i1")).json();
    check(url, ECDSA);
    assert.equal((await fetch(url)).status, 200);
    const before = queryOf(signed(edge.url + path, { pair: RSA }));
    assert.equal((await edge.fetch(`${path}?${before}`, { key: null })).status, 200);
  });
});

describe("without a signing key", () => {
  const edge = useEdge();
  const path = `/private${fresh()}`;
  beforeEach(() => serve(edge, path));

  test("what is private is refused, and the remedy named", LIMIT, async () => {
    for (const response of [
      await edge.generate({ prompt: "p", visibility: "private" }),
      await edge.post("/api/images/i1/signed-url", {}),
      await edge.post("/api/signed-cookies", {}),
      await edge.fetch(`${path}?${queryOf(signed(edge.url + path))}`, { key: null }),
    ]) {
      const { detail } = await problem(response, 503, "unavailable");
      assert.match(detail, /SIGNING_KEYS/);
    }
    assert.equal(edge.origin.requests.length, 0);
    await problem(await edge.fetch(path, { key: null }), 403, "signature_refused");
  });

  test("what was made before is still told of, without an address that works", LIMIT, async () => {
    const image = await (await edge.fetch("/api/images/i1")).json();
    assert.deepEqual([image.id, image.url, image.expires_at], ["i1", "x", undefined]);
    assert.equal((await edge.generate({ prompt: "p", visibility: "public" })).status, 200);
  });
});

describe("a wrong setting", () => {
  const pem = ECDSA.pem;
  for (const [name, bindings] of [
    ["SIGNING_KEYS", { SIGNING_KEYS: pem }],
    ["SIGNING_KEYS", { SIGNING_KEYS: `K1:${pem.replaceAll("PRIVATE", "EC PRIVATE")}` }],
    ["SIGNING_HASH", { SIGNING_HASH: "md5" }],
    ["SIGNED_URL_SECONDS", { SIGNED_URL_SECONDS: "604801" }],
    ["SIGNED_URL_WINDOW_SECONDS", { SIGNED_URL_WINDOW_SECONDS: "0" }],
    ["SIGNED_URL_MAX_SECONDS", { SIGNED_URL_MAX_SECONDS: "a" }],
    ["CLOUDFRONT_DOMAIN", { CLOUDFRONT_DOMAIN: `https://${DOMAIN}/` }],
    ["CLOUDFRONT_DOMAIN", { DELIVERY: "redirect" }],
    ["DELIVERY", { DELIVERY: "pigeon" }],
  ]) {
    describe(`${name} (${Object.values(bindings)[0].slice(0, 20)})`, () => {
      const edge = useEdge({ bindings: { SIGNING_KEYS: secret(ECDSA), ...bindings } });

      test("is named in the log, and nothing of it in the answer", LIMIT, async () => {
        const response = await edge.post("/api/images/i1/signed-url", {});
        const { detail } = await problem(response, 503, "unavailable");
        assert.match(detail, /its log names the setting/);
        await edge.log.until(new RegExp(`the setting ${name} `));
        assert.doesNotMatch(edge.log.text, /MIG/);
        // What does not depend on it goes on.
        assert.equal((await edge.fetch("/healthz")).status, 200);
      });
    });
  }
});

describe("pages of other sites", () => {
  const edge = useEdge({ bindings: { SIGNING_KEYS: secret(ECDSA) } });
  beforeEach(() => serve(edge, "/x"));

  test("may ask for pictures, and read what comes", LIMIT, async () => {
    for (const path of [fresh(), `/private${fresh()}`]) {
      const headers = { origin: "https://elsewhere.test", "access-control-request-method": "GET", "access-control-request-headers": "if-none-match" };
      const response = await edge.fetch(path, { method: "OPTIONS", key: null, headers });
      assert.equal(response.status, 204);
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      assert.equal(response.headers.get("access-control-allow-methods"), "GET, HEAD");
      assert.equal(response.headers.get("access-control-allow-headers"), "*");
      assert.equal(response.headers.get("access-control-max-age"), "86400");
    }
    assert.equal(edge.origin.requests.length, 0);
    const picture = await edge.fetch(fresh(), { key: null });
    assert.equal(picture.headers.get("access-control-expose-headers"), "*");
    assert.equal(picture.headers.get("cross-origin-resource-policy"), "cross-origin");
    const range = { range: "bytes=5000-" };
    const wrong = await edge.fetch(fresh(), { key: null, headers: range });
    assert.equal(wrong.headers.get("access-control-allow-origin"), "*");
    assert.equal(wrong.status, 416);
  });
});
