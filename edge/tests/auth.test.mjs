import assert from "node:assert/strict";
import test from "node:test";
import { API_KEY, LIMIT, problem, useEdge } from "./harness.mjs";

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
