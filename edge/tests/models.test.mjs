import assert from "node:assert/strict";
import test, { beforeEach } from "node:test";
import { LIMIT, problem, useEdge } from "./harness.mjs";
import { MODEL, json } from "./origin.mjs";

const edge = useEdge();
const waiting = useEdge();

beforeEach(() => {
  for (const { origin } of [edge, waiting]) {
    origin.requests.length = 0;
    origin.answer = (request, response) => json(response, 200, {});
  }
});

test("what the origin does not offer is refused at the edge, in the origin's words", LIMIT, async () => {
  edge.origin.models = [MODEL];
  for (const [wrong, message] of [
    [{ scheduler: "magic" }, "must be one of: euler, unipc"],
    [{ format: "avif" }, "must be one of: png, webp"],
    [{ model: "other" }, "`other` is not offered; must be one of: demo"],
  ]) {
    const { errors } = await problem(await edge.generate({ prompt: "p", ...wrong }), 422, "invalid_request");
    assert.deepEqual(errors, [{ field: Object.keys(wrong)[0], message }]);
  }
  assert.equal(edge.origin.requests.length, 0);
  const fine = { prompt: "p", scheduler: "unipc", format: "webp", model: "demo" };
  assert.equal((await edge.generate(fine)).status, 200);
  assert.equal(edge.origin.requests.length, 1);
  assert.equal(edge.origin.modelsAsked, 1, "the origin is asked once for all of them");
});

test("one caller asks anew what is offered, and nobody else waits for it", LIMIT, async () => {
  const { origin } = edge;
  origin.models = [MODEL];
  // Pictures of other weights than were offered: what is offered is no longer believed.
  origin.answer = (request, response) => {
    const recipe = { revision: "r2", engine: "e1" };
    json(response, 200, { job: { id: "j" }, images: [{}], recipe });
  };
  assert.equal((await edge.generate({ prompt: "p", seed: 1 })).status, 200);
  const { modelsAsked } = origin;
  let release;
  origin.modelsHeld = new Promise((resolve) => (release = resolve));
  const asking = edge.generate({ prompt: "p" });
  while (origin.modelsAsked === modelsAsked) await new Promise(setImmediate);
  assert.equal((await edge.generate({ prompt: "p" })).status, 200);
  assert.equal(origin.modelsAsked, modelsAsked + 1);
  release();
  assert.equal((await asking).status, 200);
});

test("an origin that does not say what it offers judges by itself", LIMIT, async () => {
  assert.equal((await waiting.generate({ prompt: "p", scheduler: "magic" })).status, 200);
  assert.equal((await waiting.generate({ prompt: "p", scheduler: "magic" })).status, 200);
  assert.equal(waiting.origin.requests.length, 2);
  assert.equal(waiting.origin.modelsAsked, 1, "nor is it asked at every request");
});
