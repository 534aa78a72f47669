// A POST that is sent again under its Idempotency-Key is not done again.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { LIMIT, openAiError, problem, useEdge } from "./harness.mjs";
import { json, refuse } from "./origin.mjs";
import { ECDSA, check, secret } from "./signing.mjs";
import { PNG, useStudio } from "./studio.mjs";

const edge = useEdge({ bindings: { SIGNING_KEYS: secret(ECDSA), SIGNED_URL_SECONDS: "1" } });

let made = 0;
const make = (request, response) => {
  made += 1;
  json(response, 200, { job: { id: `${made}` }, images: [] }, { "preference-applied": "wait=5" });
};

const send = (key, body = { prompt: "p" }, init = {}) =>
  edge.generate(body, { headers: { "idempotency-key": key }, ...init });

test("the first answer is replayed, headers and all", LIMIT, async () => {
  edge.origin.answer = make;
  edge.origin.requests.splice(0);
  const key = randomUUID();
  const first = await send(key);
  assert.equal(first.headers.get("idempotency-replayed"), null);
  const body = await first.text();
  for (let i = 0; i < 2; i += 1) {
    const again = await send(key);
    assert.equal(again.status, 200);
    assert.equal(again.headers.get("idempotency-replayed"), "true");
    assert.equal(again.headers.get("preference-applied"), "wait=5");
    assert.equal(again.headers.get("content-type"), first.headers.get("content-type"));
    assert.notEqual(again.headers.get("x-request-id"), first.headers.get("x-request-id"));
    assert.equal(await again.text(), body);
  }
  assert.equal(edge.origin.requests.length, 1);
  // Another account's key is another key.
  const { key: other } = await edge.newKey();
  assert.notEqual(await (await send(key, undefined, { key: other })).text(), body);
});

test("a refusal of the caller's own making is replayed too", LIMIT, async () => {
  const key = randomUUID();
  await problem(await send(key, { prompt: "" }), 422, "invalid_request");
  const again = await send(key, { prompt: "" });
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  assert.equal(again.status, 422);
});

test("the same key is not taken for another call", LIMIT, async () => {
  edge.origin.answer = make;
  const key = randomUUID();
  await send(key);
  await problem(await send(key, { prompt: "another" }), 422, "idempotency_mismatch");
  const headers = { "idempotency-key": key };
  await problem(await edge.post("/api/keys", { name: "x" }, { headers }), 422, "idempotency_mismatch");
});

test("a form is the same however it is written", LIMIT, async () => {
  const studio = useStudio(edge);
  const headers = { "idempotency-key": randomUUID() };
  const edit = (prompt) => {
    const body = new FormData();
    body.append("prompt", prompt);
    body.append("image", new File([PNG], "a.png"));
    return edge.fetch("/v1/images/edits", { method: "POST", headers, body });
  };
  const first = await (await edit("p")).text();
  const again = await edit("p");
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  assert.equal(await again.text(), first);
  await openAiError(await edit("another"), 400, "idempotency_mismatch");
  assert.equal(studio.asked.length, 1);
});

test("while the first is being answered the others are told to wait", LIMIT, async () => {
  edge.origin.requests.splice(0);
  const held = new Promise((resolve) => {
    edge.origin.answer = (request, response) => resolve(() => make(request, response));
  });
  const key = randomUUID();
  const first = send(key);
  const finish = await held;
  const second = await send(key);
  assert.equal(second.headers.get("retry-after"), "5");
  await problem(second, 409, "idempotency_conflict");
  finish();
  const body = await (await first).text();
  assert.equal(await (await send(key)).text(), body);
  assert.equal(edge.origin.requests.length, 1);
});

test("whoever gives one attempt up leaves those alone that have begun since", LIMIT, async () => {
  const begun = new Promise((resolve) => (edge.origin.answer = ({ url }, response) => resolve({ url, response })));
  const key = randomUUID();
  const send = () => edge.post("/api/images/1/regenerate", {}, { headers: { "idempotency-key": key } });
  const first = send();
  const { url, response } = await begun;
  const objects = await edge.miniflare.getDurableObjectNamespace("IDEMPOTENCY_KEYS");
  const object = objects.get(objects.idFromName(`admin\n${key}`));
  const reopen = async (attempt) => {
    const headers = { "darkroom-idempotency": JSON.stringify({ Reopen: attempt }) };
    assert.equal((await object.fetch("https://object/", { method: "POST", headers })).status, 200);
  };
  await reopen("another");
  await problem(await send(), 409, "idempotency_conflict");
  await reopen(new URL(url, edge.url).searchParams.get("job"));
  edge.origin.answer = make;
  assert.equal((await send()).status, 200);
  make(null, response);
  await first;
});

test("what failed for now is done again", LIMIT, async () => {
  const key = randomUUID();
  edge.origin.requests.splice(0);
  for (const [status, code] of [[500, "generation_failed"], [429, "queue_full"]]) {
    edge.origin.answer = (request, response) => refuse(request, response, status, code);
    assert.equal((await send(key)).status, status);
  }
  edge.origin.answer = make;
  assert.equal((await send(key)).status, 200);
  const jobs = edge.origin.requests.splice(0).map(({ url }) => url);
  assert.equal(new Set(jobs).size, 3, "each time as a job of its own");
});

test("what may have been accepted is asked for again, and not done twice", LIMIT, async () => {
  const key = randomUUID();
  edge.origin.requests.splice(0);
  edge.origin.answer = (request, response) => response.socket.destroy();
  await problem(await send(key), 502, "origin_unreachable");
  edge.origin.answer = make;
  assert.equal((await send(key)).status, 200);
  const jobs = edge.origin.requests.splice(0).map(({ url }) => url);
  assert.equal(new Set(jobs).size, 1);
  await problem(await send(key, { prompt: "another" }), 422, "idempotency_mismatch");
});

test("an answer of many megabytes is replayed whole", LIMIT, async () => {
  const text = "é".repeat(2_500_000);
  edge.origin.answer = (request, response) => json(response, 200, { text });
  const key = randomUUID();
  await send(key);
  const again = await send(key);
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  assert.equal((await again.json()).text, text);
});

test("private images' addresses are signed anew", LIMIT, async () => {
  const images = [{ url: "http://origin.test/x", key: "private/generated/x.png", visibility: "private" }];
  const body = { prompt: "p", visibility: "private" };
  const openAi = { prompt: "cached", response_format: "url", darkroom: { visibility: "private" } };
  for (const [path, sent, urlsOf] of [
    ["/api/media/generate-image", body, ({ image_url, images }) => [image_url, images[0].url]],
    ["/v1/images/generations", openAi, ({ data, darkroom }) => [data[0].url, darkroom.images[0].url]],
  ]) {
    useStudio(edge);
    if (sent === body) {
      edge.origin.answer = (request, response) => json(response, 200, { job: {}, images, image_url: images[0].url });
    }
    const headers = { "idempotency-key": randomUUID() };
    const ask = async () => urlsOf(await (await edge.post(path, sent, { headers })).json());
    const [first] = await ask();
    // They are good for a second.
    for (;;) {
      const [url, same] = await ask();
      assert.equal(url, same);
      check(url, ECDSA);
      if (url !== first) break;
    }
  }
});

test("a key's text is shown once, and kept nowhere", LIMIT, async () => {
  const headers = { "idempotency-key": randomUUID() };
  const first = await (await edge.post("/api/keys", { name: "x" }, { headers })).json();
  assert.match(first.key, /^dk_/);
  const again = await edge.post("/api/keys", { name: "x" }, { headers });
  assert.equal(again.status, 201);
  assert.deepEqual(await again.json(), { ...first, key: null });
});

test("what is no key is named, and other methods need none", LIMIT, async () => {
  for (const key of ["", "x".repeat(256), "é"]) {
    const { errors } = await problem(await send(key), 422, "invalid_request");
    assert.equal(errors[0].field, "Idempotency-Key");
  }
  edge.origin.answer = (request, response) => json(response, 200, { items: [] });
  const headers = { "idempotency-key": "" };
  assert.equal((await edge.fetch("/api/jobs", { headers })).status, 200);
});
