import assert from "node:assert/strict";
import test, { beforeEach, describe } from "node:test";
import { API_KEY, LIMIT, useEdge } from "./harness.mjs";
import { raw } from "./origin.mjs";
import { ECDSA, check, secret } from "./signing.mjs";
import { PNG, PREVIEW_BASE64, useStudio } from "./studio.mjs";

const edge = useEdge({ bindings: { ORIGIN_TIMEOUT_SECONDS: "1", SIGNING_KEYS: secret(ECDSA) } });
let studio;

beforeEach(() => {
  edge.origin.requests.length = 0;
  studio = useStudio(edge);
});

const BASE64 = PNG.toString("base64");
const generate = (body) => edge.post("/v1/images/generations", body);

/** Reads an answer that must be an error in OpenAI's shape. */
async function refused(response, status, param, code) {
  assert.equal(response.status, status);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.ok(response.headers.get("x-request-id"));
  const { error, ...rest } = await response.json();
  assert.deepEqual(rest, {});
  assert.deepEqual(Object.keys(error).sort(), ["code", "message", "param", "type"]);
  assert.deepEqual([error.param, error.code], [param, code]);
  assert.ok(error.message);
  return error;
}

/** The events of a stream: `{name, data}`. */
async function events(response) {
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const parts = (await response.text()).split("\n\n");
  return parts.flatMap((part) => {
    const [, name, data] = /^event: (.+)\ndata: (.+)$/.exec(part) ?? [];
    return name ? [{ name, data: JSON.parse(data) }] : [];
  });
}

describe("a generation", () => {
  test("is asked of the origin in its own words and answered in OpenAI's", LIMIT, async () => {
    const response = await generate({
      model: "gpt-image-1", prompt: "a fox", n: 2, size: "256x128", quality: "low",
      output_format: "jpeg", output_compression: 80, user: "u", darkroom: { seed: 7 },
    });
    assert.equal(response.status, 200);
    const [{ body, prefer }] = studio.asked;
    assert.deepEqual(body, {
      prompt: "a fox", n: 2, width: 256, height: 128, steps: 10, format: "jpeg",
      jpeg_quality: 80, seed: 7,
    });
    assert.equal(prefer, "respond-async");
    const { data, darkroom, usage, ...rest } = await response.json();
    assert.deepEqual(rest, {
      background: "opaque", created: 1767323045, output_format: "jpeg", quality: "low",
      size: "256x128",
    });
    assert.deepEqual(data, [{ b64_json: BASE64 }, { b64_json: BASE64 }]);
    assert.deepEqual([darkroom.recipe.seed, darkroom.images[1].seed], [7, 8]);
    assert.equal(usage.total_tokens, 0);
  });

  test("is answered with addresses where they are asked for, or were the model's default", LIMIT, async () => {
    const url = "http://edge.test/generated/1700000000-01234567-89ab-cdef-0123-000000000000.png";
    for (const body of [{ response_format: "url" }, { model: "dall-e-3" }]) {
      const response = await generate({ prompt: "p", ...body });
      assert.deepEqual((await response.json()).data, [{ url }]);
    }
    const bytes = { prompt: "p", model: "dall-e-3", response_format: "b64_json" };
    assert.deepEqual((await (await generate(bytes)).json()).data, [{ b64_json: BASE64 }]);
  });

  test("that is private is answered with signed addresses", LIMIT, async () => {
    const url = `${edge.url}/private/generated/1700000000-01234567-89ab-cdef-0123-000000000000.png`;
    const body = { prompt: "p", darkroom: { visibility: "private" } };
    for (const response_format of ["url", "b64_json"]) {
      const { data, darkroom } = await (await generate({ ...body, response_format })).json();
      const [image] = darkroom.images;
      const { parameters, resource } = check(image.url, ECDSA);
      assert.equal(resource, url);
      assert.equal(Date.parse(image.expires_at), parameters.Expires * 1000);
      assert.deepEqual(data, [response_format === "url" ? { url: image.url } : { b64_json: BASE64 }]);
    }
  });

  test("of what is there already needs no events", LIMIT, async () => {
    assert.deepEqual((await (await generate({ prompt: "cached" })).json()).data, [{ b64_json: BASE64 }]);
    const stream = await events(await generate({ prompt: "cached", stream: true }));
    assert.deepEqual(stream.map(({ name }) => name), ["image_generation.completed"]);
  });

  test("of what was made before needs no origin", LIMIT, async () => {
    const body = { prompt: "cached", darkroom: { seed: 9 } };
    await (await generate(body)).arrayBuffer();
    await edge.origin.stop();
    const again = await generate(body);
    await edge.origin.start();
    assert.equal(again.headers.get("cache-status"), "darkroom-edge; hit");
    assert.deepEqual((await again.json()).data, [{ b64_json: BASE64 }]);
  });

  test("goes on where the line breaks", LIMIT, async () => {
    const stream = await events(await generate({ prompt: "break", stream: true, partial_images: 3 }));
    assert.deepEqual(stream.map(({ data }) => data.partial_image_index), [0, 1, 2, undefined]);
    const asked = edge.origin.requests.filter(({ url }) => url.endsWith("/events"));
    assert.deepEqual(asked.map(({ headers }) => headers["last-event-id"]), [undefined, "3"]);
  });

  test("that fails says why", LIMIT, async () => {
    const error = await refused(await generate({ prompt: "fail" }), 500, null, "generation_failed");
    assert.deepEqual([error.message, error.type], ["the engine failed", "server_error"]);
    const canceled = await generate({ prompt: "cancel" });
    // Their clients would ask for it again.
    assert.equal(canceled.headers.get("x-should-retry"), "false");
    await refused(canceled, 409, null, "canceled");
    await refused(await generate({ prompt: "lose" }), 502, null, "origin_unreachable");
  });
});

describe("a stream", () => {
  test("shows what can be seen, then each picture", LIMIT, async () => {
    const body = { prompt: "p", stream: true, partial_images: 2, n: 2, quality: "high" };
    const stream = await events(await generate(body));
    assert.equal(studio.asked[0].body.previews, 2);
    assert.deepEqual(stream.map(({ name }) => name), [
      ...Array(2).fill("image_generation.partial_image"),
      ...Array(2).fill("image_generation.completed"),
    ]);
    const [first, second, completed] = stream.map(({ data: { created_at, ...data } }) => {
      assert.ok(Math.abs(created_at - Date.now() / 1000) < 60);
      return data;
    });
    const common = { background: "opaque", output_format: "png", quality: "high", size: "128x128" };
    const partial = { ...common, b64_json: PREVIEW_BASE64, type: "image_generation.partial_image" };
    assert.deepEqual(first, { ...partial, partial_image_index: 0 });
    assert.deepEqual(second, { ...partial, partial_image_index: 1 });
    const { usage, ...rest } = completed;
    assert.deepEqual(rest, { ...common, b64_json: BASE64, type: "image_generation.completed" });
    assert.equal(usage.input_tokens_details.text_tokens, 0);
  });

  test("ends in an error where its job does", LIMIT, async () => {
    const [{ name, data }, ...more] = await events(await generate({ prompt: "fail", stream: true }));
    assert.equal(name, "error");
    assert.deepEqual([data.error.code, data.error.message], ["generation_failed", "the engine failed"]);
    assert.deepEqual(more, []);
  });

  test("that is refused is no stream", LIMIT, async () => {
    const body = { prompt: "p", stream: true, partial_images: 4 };
    await refused(await generate(body), 400, "partial_images", "invalid_request");
  });
});

describe("an edit", () => {
  const form = (fields) => {
    const form = new FormData();
    for (const [name, value] of fields) form.append(name, value);
    return edge.fetch("/v1/images/edits", { method: "POST", body: form });
  };
  const file = (bytes = PNG) => new File([bytes], "a.png", { type: "image/png" });
  const url = `data:application/octet-stream;base64,${BASE64}`;

  test("comes as a form", LIMIT, async () => {
    const response = await form([
      ["image", file()], ["mask", file()], ["prompt", "5"], ["n", "2"], ["stream", "true"],
      ["partial_images", "1"], ["size", "64x64"], ["darkroom[seed]", "7"], ["darkroom[strength]", "0.5"],
    ]);
    assert.deepEqual(studio.asked[0].body, {
      prompt: "5", n: 2, width: 64, height: 64, previews: 1, seed: 7, strength: 0.5,
      init_image: url, mask: url, mask_channel: "alpha",
    });
    const names = (await events(response)).map(({ name }) => name);
    assert.deepEqual(names, ["image_edit.partial_image", "image_edit.completed", "image_edit.completed"]);
  });

  test("comes as JSON", LIMIT, async () => {
    const id = "01234567-89ab-cdef-0123-456789abcdef";
    const response = await edge.post("/v1/images/edits", {
      prompt: "p", images: [{ image_url: `data:image/png;base64,${BASE64}` }], mask: { file_id: id },
      darkroom: { seed: 1 },
    });
    assert.deepEqual((await response.json()).data, [{ b64_json: BASE64 }]);
    const { init_image, mask } = studio.asked[0].body;
    assert.deepEqual([init_image, mask], [`data:image/png;base64,${BASE64}`, id]);
  });

  test("needs a picture, one of a kind that is read", LIMIT, async () => {
    const invalid = (fields, param) => form(fields).then((r) => refused(r, 400, param, "invalid_request"));
    await invalid([["prompt", "p"]], "image");
    await invalid([["prompt", "p"], ["image", file(Buffer.from("GIF89a"))]], "image");
    await invalid([["prompt", "p"], ["image[]", file()], ["image[]", file()]], "image");
    await invalid([["prompt", "p"], ["image", file()], ["image", file()]], "image");
    await invalid([["prompt", "p"], ["prompt", "q"], ["image", file()]], "prompt");
    await invalid([["prompt", "p"], ["image", file()], ["mask", file(Buffer.alloc(9))]], "mask");
    await invalid([["prompt", "p"], ["image", file()], ["darkroom[colour]", "red"]], "darkroom.colour");
    const address = { prompt: "p", image: "https://10.0.0.1/a.png" };
    await refused(await edge.post("/v1/images/edits", address), 400, "image", "invalid_request");
    assert.deepEqual(studio.asked, []);
  });

  test("is read within limits, and whole", LIMIT, async () => {
    const announced = { "content-type": "multipart/form-data; boundary=a", "content-length": 15 * 1024 ** 2 + 1 };
    const large = await edge.upload("/v1/images/edits", announced, []);
    assert.deepEqual([large.status, large.body.error.code], [413, "body_too_large"]);
    for (const [type, body] of [
      ["multipart/form-data", "x"],
      ["multipart/form-data; boundary=a", "--a\r\nContent-Disposition: form-data; name=\"prompt\""],
    ]) {
      const headers = { "content-type": type };
      const response = await edge.fetch("/v1/images/edits", { method: "POST", headers, body });
      await refused(response, 400, null, "malformed_request");
    }
  });
});

describe("errors", () => {
  test("of every layer have OpenAI's shape", LIMIT, async () => {
    const path = "/v1/images/generations";
    const keyless = await edge.post(path, { prompt: "p" }, { headers: { authorization: "Bearer x" } });
    assert.equal(keyless.headers.get("www-authenticate"), "Bearer");
    await refused(keyless, 401, null, "invalid_api_key");
    const { key } = await edge.newKey({ scopes: ["read"] });
    const reader = await edge.post(path, { prompt: "p" }, { headers: { authorization: `Bearer ${key}` } });
    await refused(reader, 403, null, "forbidden");
    await refused(await edge.fetch("/v1/nothing"), 404, null, "not_found");
    const wrongMethod = await edge.fetch(path);
    assert.equal(wrongMethod.headers.get("allow"), "POST");
    await refused(wrongMethod, 405, null, "method_not_allowed");
    await refused(await edge.post(path, "{"), 400, null, "malformed_request");
    const text = { method: "POST", headers: { "content-type": "text/plain" }, body: "{}" };
    await refused(await edge.fetch(path, text), 415, null, "unsupported_media_type");
    const busy = await generate({ prompt: "busy" });
    assert.equal(busy.headers.get("retry-after"), "7");
    const error = await refused(busy, 429, null, "queue_full");
    assert.equal(error.type, "rate_limit_error");
    edge.origin.answer = raw("nothing like HTTP\r\n\r\n");
    await refused(await generate({ prompt: "p" }), 502, null, "origin_unreachable");
    // Beside /v1 all is as it was.
    assert.equal((await edge.fetch("/v2/nothing")).headers.get("content-type"), "application/problem+json");
  });

  test("name the parameter as it was sent", LIMIT, async () => {
    for (const [body, param] of [
      [{}, "prompt"],
      [{ prompt: " " }, "prompt"],
      [{ prompt: "p", size: "100x100" }, "size"],
      [{ prompt: "p", size: "4096x64" }, "size"],
      [{ prompt: "p", size: "wide" }, "size"],
      [{ prompt: "p", n: 11 }, "n"],
      [{ prompt: "p", output_format: "gif" }, "output_format"],
      [{ prompt: "p", output_format: "avif" }, "output_format"],
      [{ prompt: "p", background: "transparent" }, "background"],
      [{ prompt: "p", output_compression: 50 }, "output_compression"],
      [{ prompt: "p", quality: "best" }, "quality"],
      [{ prompt: "p", colour: "red" }, "colour"],
      [{ prompt: "p", darkroom: { seed: -1 } }, "darkroom.seed"],
      [{ prompt: "p", darkroom: { scheduler: "magic" } }, "darkroom.scheduler"],
    ]) {
      const error = await refused(await generate(body), 400, param, "invalid_request");
      assert.ok(error.message.startsWith(`${param}: `), error.message);
    }
    assert.deepEqual(studio.asked, []);
  });
});

test("models are listed", LIMIT, async () => {
  const response = await edge.fetch("/v1/models", { headers: { authorization: `Bearer ${API_KEY}` } });
  assert.deepEqual(await response.json(), {
    object: "list",
    data: [{ id: "demo", object: "model", created: 0, owned_by: "darkroom" }],
  });
});
