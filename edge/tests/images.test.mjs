// Images that are deleted, restored and made anew, as the edge passes it on.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import test, { beforeEach } from "node:test";
import { LIMIT, problem, useEdge } from "./harness.mjs";
import { json, refuse } from "./origin.mjs";

const edge = useEdge();
const PNG = randomBytes(1000);

beforeEach(() => {
  edge.origin.requests.length = 0;
});

/** An origin with one image, that deletes and restores it. */
function useImage(visibility = "public") {
  const folder = visibility === "private" ? "private/generated" : "generated";
  const key = `${folder}/1700000000-${randomUUID()}.png`;
  const image = { id: randomUUID(), key, url: `http://edge.test/${key}`, visibility, seed: 1 };
  const whole = { ...image, width: 8, height: 8, content_type: "image/png", bytes: PNG.length, sha256: "0" };
  const state = { image: whole, path: `/${key}`, api: `/api/images/${image.id}`, deleted: false };
  edge.origin.answer = (request, response) => {
    if (request.url === state.path) {
      if (state.deleted) return refuse(request, response, 404, "not_found");
      return response.writeHead(200, { "content-type": "image/png", "content-length": PNG.length }).end(PNG);
    }
    if (request.method === "DELETE") {
      state.deleted = true;
      return json(response, 200, { key, recipe_sha256: "r", n: 1 });
    }
    assert.equal(request.url, `${state.api}/restore`);
    state.deleted = false;
    json(response, 200, whole);
  };
  return state;
}

test("a deleted picture is served by nobody, and by everybody when it is restored", LIMIT, async () => {
  const { path, api, image } = useImage();
  const cached = () => edge.fetch(path, { key: null });
  // It is kept after the first answer has been sent.
  while ((await cached()).headers.get("cache-status") !== "darkroom-edge; hit");
  assert.equal((await edge.fetch(api, { method: "DELETE" })).status, 204);
  await problem(await cached(), 404, "not_found");

  for (let times = 0; times < 2; times += 1) {
    const restored = await edge.post(`${api}/restore`);
    assert.equal(restored.status, 200);
    assert.deepEqual(await restored.json(), image);
  }
  for (const kept of ["darkroom-edge; fwd=miss; stored", "darkroom-edge; hit"]) {
    let again = await cached();
    while (kept.endsWith("hit") && again.headers.get("cache-status") !== kept) again = await cached();
    assert.equal(again.status, 200);
    assert.equal(again.headers.get("cache-status"), kept);
    assert.ok(Buffer.from(await again.arrayBuffer()).equals(PNG));
  }
});

test("a picture that lies in the cache of another place is served again from there", LIMIT, async () => {
  const { path, api, image } = useImage();
  const copy = path.replace(".png", "-w320.webp");
  image.variants = [{ key: copy.slice(1), url: `http://edge.test${copy}`, width: 320, height: 320, content_type: "image/webp" }];
  const cached = () => edge.fetch(path, { key: null });
  const marks = await edge.miniflare.getKVNamespace("RECIPES");
  while ((await cached()).headers.get("cache-status") !== "darkroom-edge; hit");
  // Deleted at another place: here, the mark is all that tells.
  for (const file of [path, copy]) await marks.put(`deleted:${file}`, "");
  await problem(await cached(), 404, "not_found");
  assert.equal((await edge.post(`${api}/restore`)).status, 200);
  for (const file of [path, copy]) assert.equal(await marks.get(`deleted:${file}`), null);
  assert.equal((await cached()).headers.get("cache-status"), "darkroom-edge; hit");
});

test("what the origin does not restore stays marked", LIMIT, async () => {
  const { path, api } = useImage();
  await edge.fetch(api, { method: "DELETE" });
  const marks = await edge.miniflare.getKVNamespace("RECIPES");
  for (const [status, code] of [[404, "not_found"], [503, "unavailable"]]) {
    edge.origin.answer = (request, response) => refuse(request, response, status, code);
    await problem(await edge.post(`${api}/restore`), status, code);
    assert.equal(await marks.get(`deleted:${path}`), "");
  }
});

test("an image is made anew with what is sent, as a job of its own", LIMIT, async () => {
  const job = { id: "j" };
  edge.origin.answer = (request, response) => json(response, 200, { job, images: [], image_url: null });
  const ids = new Set();
  for (const body of [undefined, { prompt: "a cat", n: 2, seed: 5 }, { prompt: "a cat", n: 2, seed: 5 }]) {
    const made = await edge.post("/api/images/some-id/regenerate", body);
    assert.equal(made.status, 200);
    assert.equal(made.headers.get("cache-status"), "darkroom-edge; fwd=miss");
    const sent = edge.origin.takeOne();
    assert.equal(sent.method, "POST");
    const [path, id] = sent.url.split("?job=");
    assert.equal(path, "/api/images/some-id/regenerate");
    assert.equal(sent.body, body ? JSON.stringify(body) : "");
    ids.add(id);
  }
  assert.equal(ids.size, 3);
  const once = () => edge.post("/api/images/some-id/regenerate", {}, { headers: { "idempotency-key": "again" } });
  await once();
  assert.equal((await once()).headers.get("idempotency-replayed"), "true");
  edge.origin.takeOne();
});

test("images that are made anew are taken from the day's, and given back where none is made", LIMIT, async () => {
  const { key } = await edge.newKey({ daily_images: 3 });
  const anew = (body) => edge.post("/api/images/some-id/regenerate", body, { key });
  const left = (response) => Number(/"images";r=(\d+)/.exec(response.headers.get("ratelimit"))[1]);
  edge.origin.answer = (request, response) => refuse(request, response, 404, "not_found");
  const none = await anew({ n: 3 });
  assert.equal(left(none), 3);
  await problem(none, 404, "not_found");
  edge.origin.answer = (request, response) => json(response, 200, { job: { id: "j" }, images: [] });
  assert.equal(left(await anew({ n: 2 })), 1);
  edge.origin.requests.length = 0;
  await problem(await anew({ n: 2 }), 429, "quota_exceeded");
  for (const n of [0, 11, "2", 1.5]) await problem(await anew({ n }), 422, "invalid_request");
  await problem(await anew("[]"), 400, "malformed_request");
  // Who may not make images may not make them anew either.
  const { key: reader } = await edge.newKey({ scopes: ["read"] });
  await problem(await edge.post("/api/images/x/regenerate", {}, { key: reader }), 403, "forbidden");
  await problem(await edge.post("/api/images/x/restore", {}, { key: reader }), 403, "forbidden");
  assert.equal(edge.origin.requests.filter(({ method }) => method === "POST").length, 0);
});
