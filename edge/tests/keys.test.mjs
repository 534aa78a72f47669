import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { API_KEY, LIMIT, problem, sha256, useEdge } from "./harness.mjs";
import { json } from "./origin.mjs";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const KEY = /^dk_[0-9A-Za-z]{43}$/;

describe("keys", () => {
  const edge = useEdge();

  beforeEach(() => {
    edge.origin.requests.length = 0;
    edge.origin.answer = (request, response) => json(response, 200, {});
  });

  /** The status that a route answers to a key. */
  const statusOf = async (key, method = "GET", path = "/api/jobs") =>
    (await edge.fetch(path, { method, key })).status;

  const allKeys = async () => {
    const items = [];
    let cursor = "";
    do {
      const page = await (await edge.fetch(`/api/keys?limit=2${cursor}`)).json();
      assert.ok(page.items.length <= 2);
      items.push(...page.items);
      cursor = page.next_cursor && `&cursor=${page.next_cursor}`;
    } while (cursor);
    return items;
  };

  test("a key is shown once, works, and stands for its account", LIMIT, async () => {
    const before = Date.now();
    const body = { name: "a laptop", account: "alice", scopes: ["read"], rate_per_minute: 60, daily_images: 5, priority: "low" };
    const response = await edge.post("/api/keys", body);
    assert.equal(response.status, 201);
    assert.equal(response.headers.get("cache-control"), "no-store");
    const { key, id, created_at, ...rest } = await response.json();
    assert.match(key, KEY);
    assert.match(id, UUID);
    assert.ok(Date.parse(created_at) >= before - 1000);
    assert.deepEqual(rest, { ...body, expires_at: null, rotated_at: null });

    assert.equal(await statusOf(key), 200);
    const { headers } = edge.origin.takeOne();
    assert.equal(headers["darkroom-caller"], "alice");
    assert.equal(headers.authorization, undefined);
  });

  test("keys of one account are one caller, keys without one are strangers", LIMIT, async () => {
    const [one, two] = [await edge.newKey({ account: "bob" }), await edge.newKey({ account: "bob" })];
    const [three, four] = [await edge.newKey(), await edge.newKey()];
    const callers = [];
    for (const { key } of [one, two, three, four]) {
      assert.equal(await statusOf(key), 200);
      callers.push(edge.origin.takeOne().headers["darkroom-caller"]);
    }
    assert.deepEqual(callers, ["bob", "bob", three.id, four.id]);
  });

  test("nothing that is stored holds a key's text", LIMIT, async () => {
    const created = await edge.newKey({ name: "secret" });
    const rotated = await (await edge.post(`/api/keys/${created.id}/rotate`, { grace_seconds: 60 })).json();
    const kv = await edge.miniflare.getKVNamespace("KEYS");
    let stored = "";
    for (const { name, metadata } of (await kv.list()).keys) {
      stored += `${name} ${JSON.stringify(metadata)} ${await kv.get(name)}\n`;
    }
    for (const { key } of [created, rotated]) {
      assert.ok(stored.includes(sha256(key)), "its digest is there");
      assert.ok(!stored.includes(key) && !stored.includes(key.slice(3, 20)));
      assert.ok(!edge.log.text.includes(key));
    }
    const listed = JSON.stringify(await allKeys());
    assert.ok(listed.includes(created.id) && !listed.includes("dk_") && !listed.includes(sha256(rotated.key)));
  });

  test("all keys are listed, page by page, oldest first", LIMIT, async () => {
    const made = [];
    for (let i = 0; i < 5; i += 1) {
      const { key, ...shown } = await edge.newKey({ name: `number ${i}` });
      made.push(shown);
      // Within a millisecond the order is open.
      await sleep(2);
    }
    assert.deepEqual((await allKeys()).slice(-5), made);
    for (const query of ["limit=0", "limit=101", "limit=x", "cursor=xyz", "cursor=ff", "cursor=", "limit=1e1"]) {
      const { errors } = await problem(await edge.fetch(`/api/keys?${query}`), 422, "invalid_request");
      assert.equal(errors[0].field, query.split("=")[0]);
    }
  });

  test("a rotated key has another text and the same id; the one before ends", LIMIT, async () => {
    const { key, ...shown } = await edge.newKey({ account: "carol" });
    assert.equal(await statusOf(key), 200);
    const response = await edge.post(`/api/keys/${shown.id}/rotate`);
    assert.equal(response.status, 200);
    const { key: fresh, rotated_at, ...rest } = await response.json();
    assert.match(fresh, KEY);
    assert.notEqual(fresh, key);
    assert.ok(Date.parse(rotated_at) >= Date.parse(shown.created_at));
    assert.deepEqual({ ...rest, rotated_at: null }, shown);
    assert.equal(await statusOf(key), 401);
    assert.equal(await statusOf(fresh), 200);
    assert.equal(edge.origin.requests.at(-1).headers["darkroom-caller"], "carol");
  });

  test("with some grace both texts work, until that ends", LIMIT, async () => {
    const { key, id } = await edge.newKey();
    const { key: second } = await (await edge.post(`/api/keys/${id}/rotate`, { grace_seconds: 1 })).json();
    assert.deepEqual([await statusOf(key), await statusOf(second)], [200, 200]);
    await until(async () => (await statusOf(key)) === 401);
    assert.equal(await statusOf(second), 200);
  });

  test("a revoked key ends, with every text it had", LIMIT, async () => {
    const { key, id } = await edge.newKey();
    const { key: second } = await (await edge.post(`/api/keys/${id}/rotate`, { grace_seconds: 60 })).json();
    assert.deepEqual([await statusOf(key), await statusOf(second)], [200, 200]);
    const response = await edge.fetch(`/api/keys/${id}`, { method: "DELETE" });
    assert.equal(response.status, 204);
    assert.equal(await response.text(), "");
    assert.deepEqual([await statusOf(key), await statusOf(second)], [401, 401]);
    assert.ok(!(await allKeys()).some((listed) => listed.id === id));
    await problem(await edge.fetch(`/api/keys/${id}`, { method: "DELETE" }), 404, "not_found");
    await problem(await edge.post(`/api/keys/${id}/rotate`), 404, "not_found");
    const kv = await edge.miniflare.getKVNamespace("KEYS");
    for (const text of [key, second]) assert.equal(await kv.get(`digest:${sha256(text)}`), null);
  });

  test("a digest that leads to another key's record opens nothing", LIMIT, async () => {
    const { key, id } = await edge.newKey();
    const stranger = `dk_${"z".repeat(43)}`;
    const kv = await edge.miniflare.getKVNamespace("KEYS");
    await kv.put(`digest:${sha256(stranger)}`, id);
    assert.deepEqual([await statusOf(stranger), await statusOf(key)], [401, 200]);
  });

  test("a key that was just used needs no store", LIMIT, async () => {
    const { key, id } = await edge.newKey();
    assert.equal(await statusOf(key), 200);
    const kv = await edge.miniflare.getKVNamespace("KEYS");
    await kv.delete(`key:${id}`);
    assert.equal(await statusOf(key), 200);
  });

  test("an expired key is refused", LIMIT, async () => {
    const { key, expires_at, created_at } = await edge.newKey({ expires_in: 1 });
    assert.equal(Date.parse(expires_at) - Date.parse(created_at), 1000);
    assert.equal(await statusOf(key), 200);
    await until(async () => (await statusOf(key)) === 401);
    const response = await edge.fetch("/api/jobs", { key });
    assert.equal(response.headers.get("www-authenticate"), "Bearer");
    await problem(response, 401, "unauthorized");
  });

  test("a route takes the keys that have its scope", LIMIT, async () => {
    const routes = [
      ["POST", "/api/media/generate-image", ["generate"]],
      ["GET", "/api/jobs", ["read"]],
      ["GET", "/api/jobs/1", ["generate", "read"]],
      ["DELETE", "/api/jobs/1", ["generate"]],
      ["GET", "/api/jobs/1/events", ["generate", "read"]],
      ["GET", "/api/images/1", ["generate", "read"]],
      ["GET", "/api/models", ["generate", "read"]],
      ["GET", "/api/keys", ["admin"]],
      ["POST", "/api/keys", ["admin"]],
      ["DELETE", "/api/keys/1", ["admin"]],
      ["POST", "/api/keys/1/rotate", ["admin"]],
    ];
    for (const scope of ["generate", "read", "posts:write", "admin"]) {
      const { key } = await edge.newKey({ scopes: [scope] });
      for (const [method, path, scopes] of routes) {
        edge.origin.requests.length = 0;
        const response = await edge.fetch(path, { method, key });
        if (scopes.includes(scope)) {
          assert.notEqual(response.status, 403, `${scope} ${method} ${path}`);
          assert.notEqual(response.status, 401, `${scope} ${method} ${path}`);
        } else {
          const { detail } = await problem(response, 403, "forbidden");
          assert.ok(scopes.every((name) => detail.includes(name)), detail);
          assert.equal(edge.origin.requests.length, 0);
        }
      }
    }
  });

  test("any number of calls at once with new and with wrong keys are told apart", LIMIT, async () => {
    const made = await Promise.all(Array.from({ length: 10 }, () => edge.newKey()));
    const wrong = made.map(({ key }) => key.replace(/^dk_./, (start) => (start === "dk_z" ? "dk_y" : "dk_z")));
    const keys = [...made.map(({ key }) => key), ...wrong];
    const statuses = await Promise.all([...keys, ...keys].map((key) => statusOf(key)));
    const half = [...Array(10).fill(200), ...Array(10).fill(401)];
    assert.deepEqual(statuses, [...half, ...half]);
  });

  test("an admin's key manages keys as the first one does", LIMIT, async () => {
    const { key } = await edge.newKey({ scopes: ["admin"] });
    const made = await edge.post("/api/keys", {}, { headers: { authorization: `Bearer ${key}` } });
    assert.equal(made.status, 201);
    assert.equal(await statusOf((await made.json()).key), 200);
  });

  test("every wrong field is named, and nothing is stored", LIMIT, async () => {
    const count = (await allKeys()).length;
    const body = {
      name: "", account: "anonymous", scopes: ["root"], rate_per_minute: "60",
      daily_images: 0, expires_at: "2020-01-01T00:00:00Z", colour: "red",
    };
    const { errors } = await problem(await edge.post("/api/keys", body), 422, "invalid_request");
    assert.deepEqual(errors.map(({ field }) => field).sort(), Object.keys(body).sort());
    for (const [wrong, status, code] of [
      ["{", 400, "malformed_request"],
      ["[]", 400, "malformed_request"],
      ["", 400, "malformed_request"],
      [`{"name": "${"x".repeat(20_000)}"}`, 413, "body_too_large"],
      [`{"scopes": [${'"read",'.repeat(1000)}"read"]}`, 422, "invalid_request"],
      ['{"account": "a\\r\\nx: y"}', 422, "invalid_request"],
    ]) {
      await problem(await edge.post("/api/keys", wrong), status, code);
    }
    const text = { headers: { "content-type": "text/plain" } };
    await problem(await edge.post("/api/keys", "{}", text), 415, "unsupported_media_type");
    await problem(await edge.post("/api/keys/1/rotate", "{}", text), 415, "unsupported_media_type");
    const { id } = await edge.newKey();
    const grace = await edge.post(`/api/keys/${id}/rotate`, { grace_seconds: 604_801 });
    assert.equal((await problem(grace, 422, "invalid_request")).errors[0].field, "grace_seconds");
    assert.equal((await allKeys()).length, count + 1);
  });

  test("a record that cannot be read opens nothing and hides no other", LIMIT, async () => {
    const { key, id } = await edge.newKey();
    const other = await edge.newKey();
    const kv = await edge.miniflare.getKVNamespace("KEYS");
    await kv.put(`key:${id}`, "no record", { metadata: { what: "nothing" } });
    await problem(await edge.fetch("/api/jobs", { key }), 500, "internal_error");
    assert.ok((await allKeys()).some((listed) => listed.id === other.id));
    await kv.delete(`key:${id}`);
  });
});

describe("an edge without a namespace for keys", () => {
  const edge = useEdge({ options: { kvNamespaces: ["RECIPES"] } });

  test("still knows the first key, and says in its log what is missing", LIMIT, async () => {
    assert.equal((await edge.fetch("/api/jobs")).status, 200);
    await problem(await edge.fetch("/api/keys"), 503, "unavailable");
    const other = await edge.fetch("/api/jobs", { key: `${API_KEY.slice(0, -1)}z` });
    assert.equal(other.headers.get("retry-after"), "5");
    await problem(other, 503, "unavailable");
    await edge.log.until(/the setting KEYS is not bound/);
  });
});

/** Waits for a state; the test's own limit bounds it. */
async function until(holds) {
  while (!(await holds())) await sleep(50);
}
