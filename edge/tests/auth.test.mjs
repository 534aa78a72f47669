import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { API_KEY, LIMIT, problem, sha256, useEdge } from "./harness.mjs";
import { wrapped } from "./wrapped.mjs";

const edge = useEdge();

const KEYED = [
  ["POST", "/api/media/generate-image"],
  ["GET", "/api/jobs"],
  ["GET", "/api/jobs/1"],
  ["DELETE", "/api/jobs/1"],
  ["GET", "/api/jobs/1/events"],
  ["GET", "/api/images/1"],
  ["GET", "/api/models"],
  ["POST", "/api/posts"],
  ["PATCH", "/api/posts/1"],
  ["DELETE", "/api/posts/1"],
  ["POST", "/api/posts/1/restore"],
  ["GET", "/api/keys"],
  ["POST", "/api/keys"],
  ["DELETE", "/api/keys/1"],
  ["POST", "/api/keys/1/rotate"],
];

for (const [method, path] of KEYED) {
  test(`${method} ${path} needs the key`, LIMIT, async () => {
    const other = `${API_KEY.slice(0, -1)}z`;
    for (const key of [null, "", "dk_", "x".repeat(5000), other]) {
      const response = await edge.fetch(path, { method, key });
      assert.equal(response.headers.get("www-authenticate"), "Bearer");
      await problem(response, 401, "unauthorized");
    }
    assert.equal(edge.origin.requests.length, 0);
  });
}

test("the key is taken in Authorization alone, whatever the scheme's case", LIMIT, async () => {
  const inQuery = await edge.fetch(`/api/models?key=${API_KEY}`, { key: null });
  await problem(inQuery, 401, "unauthorized");
  const basic = await edge.fetch("/api/models", { headers: { authorization: `Basic ${API_KEY}` } });
  await problem(basic, 401, "unauthorized");

  const response = await edge.fetch("/api/models", { headers: { authorization: `bearer ${API_KEY}` } });
  assert.equal(response.status, 200);
  const { headers } = edge.origin.takeOne();
  assert.equal(headers["darkroom-caller"], "admin");
  assert.equal(headers.authorization, undefined, "the key stays at the edge");
});

describe("an isolate that outlives its Worker's secrets", () => {
  // Where only those change, the platform goes on with the code that it runs, and hands it others.
  const rotating = useEdge({
    options: wrapped(`
      import edge from "./index.js";
      export * from "./index.js";
      let secrets = {};
      export default {
        fetch(request, env, context) {
          if (!request.url.endsWith("/rotate")) return edge.fetch(request, secrets.of ?? env, context);
          secrets = { of: { ...env, ADMIN_KEY_SHA256: request.headers.get("digest") } };
          return new Response();
        },
      };
    `),
  });

  test("takes the new ones, and no longer the old", LIMIT, async () => {
    const other = `dk_${"r".repeat(43)}`;
    const statusOf = async (key) => (await rotating.fetch("/api/jobs", { key })).status;
    assert.deepEqual([await statusOf(API_KEY), await statusOf(other)], [200, 401]);
    await rotating.fetch("/rotate", { headers: { digest: sha256(other) } });
    assert.deepEqual([await statusOf(API_KEY), await statusOf(other)], [401, 200]);
  });
});
