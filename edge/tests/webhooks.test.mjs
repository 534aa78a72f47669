// Webhooks: the edge checks where they lead and passes questions after them on.
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { LIMIT, problem, useEdge } from "./harness.mjs";
import { MODEL, json } from "./origin.mjs";

const WEBHOOK = "https://example.com/hook";

/** What the origin answers to a job that is done. */
function generated(request, response, body) {
  const { seed } = JSON.parse(body);
  const id = new URL(request.url, "http://origin").searchParams.get("job");
  const { revision, engine } = MODEL;
  const images = [{ id: "image", seed, url: "http://x/" }];
  const job = { id, status: "succeeded", task_id: null, images };
  json(response, 200, { job, images, image_url: null, cached: false, recipe: { seed, revision, engine } });
}

describe("webhooks", () => {
  const edge = useEdge();
  before(() => {
    edge.origin.models = [MODEL];
  });

  test("who wants to be told has a job of its own, whatever was made before", LIMIT, async () => {
    edge.origin.answer = generated;
    const body = { prompt: "p", seed: 1 };
    await edge.generate(body);
    edge.origin.takeOne();
    for (let times = 0; times < 2; times += 1) {
      const response = await edge.generate({ ...body, webhook_url: WEBHOOK });
      assert.equal(response.status, 200);
      assert.equal(JSON.parse(edge.origin.takeOne().body).webhook_url, WEBHOOK);
    }
  });

  test("pictures at addresses are the origin's to fetch, each time", LIMIT, async () => {
    edge.origin.answer = generated;
    const body = { prompt: "p", seed: 2, init_image: "https://example.com/a.png" };
    for (let times = 0; times < 2; times += 1) {
      assert.equal((await edge.generate(body)).status, 200);
      edge.origin.takeOne();
    }
  });

  test("what is plainly not public is refused", LIMIT, async () => {
    for (const url of ["http://example.com/", "https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://2130706433/"]) {
      const body = { prompt: "p", webhook_url: url, init_image: url };
      const { errors } = await problem(await edge.generate(body), 422, "invalid_request");
      assert.deepEqual(errors.map(({ field }) => field), ["init_image", "webhook_url"], url);
    }
    assert.equal(edge.origin.requests.length, 0);
  });

  test("deliveries and secret are passed on", LIMIT, async () => {
    const page = { items: [], next_cursor: null };
    edge.origin.answer = (request, response) =>
      request.url.endsWith("/resend") ? response.writeHead(204).end() : json(response, 200, page);
    for (const [method, path, status] of [
      ["GET", "/api/webhooks/deliveries?limit=2", 200],
      ["POST", "/api/webhooks/deliveries/msg_0193c7a2/resend", 204],
      ["GET", "/api/webhooks/secret", 200],
      ["POST", "/api/webhooks/secret", 200],
    ]) {
      const response = await edge.fetch(path, { method });
      assert.equal(response.status, status, path);
      assert.equal(response.headers.get("cache-control"), "no-store");
      const { url, method: asked } = edge.origin.takeOne();
      assert.deepEqual([asked, url], [method, path]);
    }
  });
});

describe("allowed networks", () => {
  const edge = useEdge({ bindings: { ALLOWED_NETWORKS: "127.0.0.0/8" } });

  test("are where addresses may lead", LIMIT, async () => {
    edge.origin.answer = generated;
    const webhook = (url) => edge.generate({ prompt: "p", webhook_url: url });
    assert.equal((await webhook("http://127.0.0.1:9000/")).status, 200);
    await problem(await webhook("http://10.0.0.1/"), 422, "invalid_request");
  });
});
