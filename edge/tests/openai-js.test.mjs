// OpenAI's own client for JavaScript, unchanged, against the edge.
import assert from "node:assert/strict";
import test, { beforeEach } from "node:test";
import OpenAI, { AuthenticationError, BadRequestError, ConflictError, RateLimitError, toFile } from "openai";
import { API_KEY, LIMIT, useEdge } from "./harness.mjs";
import { PNG, PREVIEW_BASE64, useStudio } from "./studio.mjs";

const edge = useEdge();
const BASE64 = PNG.toString("base64");
let studio;
let client;

beforeEach(() => {
  studio = useStudio(edge);
  client = new OpenAI({ apiKey: API_KEY, baseURL: `${edge.url}/v1`, maxRetries: 0 });
});

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

test("generates, as bytes and as an address", LIMIT, async () => {
  const images = await client.images.generate({
    model: "gpt-image-1.5", prompt: "a fox", n: 2, size: "1024x1024", quality: "high", user: "u",
    background: "opaque", output_format: "webp", moderation: "low", darkroom: { seed: 7 },
  });
  assert.deepEqual(images.data, [{ b64_json: BASE64 }, { b64_json: BASE64 }]);
  assert.equal(images.size, "1024x1024");
  assert.equal(studio.asked[0].body.seed, 7);
  const { data } = await client.images.generate({ model: "dall-e-3", prompt: "p", style: "vivid" });
  assert.match(data[0].url, /^http.*\.png$/);
});

test("streams partial images", LIMIT, async () => {
  const stream = await client.images.generate({ prompt: "p", stream: true, partial_images: 2 });
  const events = await all(stream);
  assert.deepEqual(
    events.map(({ type, b64_json }) => [type.split(".")[1], b64_json]),
    [["partial_image", PREVIEW_BASE64], ["partial_image", PREVIEW_BASE64], ["completed", BASE64]],
  );
  await assert.rejects(
    async () => all(await client.images.generate({ prompt: "fail", stream: true })),
    /the engine failed/,
  );
});

test("edits", LIMIT, async () => {
  const file = () => toFile(PNG, "a.png", { type: "image/png" });
  const edited = await client.images.edit({
    image: await file(), mask: await file(), prompt: "two\nlines", n: 2, size: "512x512",
    darkroom: { seed: 7, strength: 0.5 },
  });
  assert.equal(edited.data.length, 2);
  const [{ body }] = studio.asked;
  assert.deepEqual([body.n, body.width, body.seed, body.strength], [2, 512, 7, 0.5]);
  assert.equal(body.prompt, "two\nlines");
  assert.ok(body.init_image.endsWith(BASE64) && body.mask.endsWith(BASE64));

  const list = { image: [await file()], prompt: "p", stream: true, partial_images: 1 };
  const types = (await all(await client.images.edit(list))).map(({ type }) => type);
  assert.deepEqual(types, ["image_edit.partial_image", "image_edit.completed"]);
});

test("lists models", LIMIT, async () => {
  const models = await client.models.list();
  assert.deepEqual(models.data.map(({ id }) => id), ["demo"]);
});

test("knows each error by its class", LIMIT, async () => {
  const ask = (body, options) => client.images.generate({ prompt: "p", ...body }, options);
  await assert.rejects(ask({ size: "1x1" }), (error) => {
    assert.ok(error instanceof BadRequestError);
    assert.deepEqual([error.param, error.code], ["size", "invalid_request"]);
    assert.ok(error.requestID);
    return true;
  });
  await assert.rejects(ask({ prompt: "busy" }), RateLimitError);
  await assert.rejects(ask({}, { headers: { authorization: "Bearer nobody" } }), AuthenticationError);
  // With retries: what was called off is not made anew.
  const asked = studio.asked.length;
  await assert.rejects(ask({ prompt: "cancel" }, { maxRetries: 2 }), ConflictError);
  assert.equal(studio.asked.length, asked + 1);
});
