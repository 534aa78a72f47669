// The largest bodies that are taken, and the memory that they take: a Worker has 128 MB for all that
// it does at once, and what the wasm has grown to it never gives back.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { before, describe, test } from "node:test";
import { LIMIT, useEdge } from "./harness.mjs";
import { json } from "./origin.mjs";
import { MODEL, PNG, useStudio } from "./studio.mjs";
import { wrapped } from "./wrapped.mjs";

/** The built edge, with a path that tells the size of its memory, and how many have boarded a flight. */
const options = wrapped(
  `
  import { size } from "./instance.js";
  import edge, { Flight as Counted } from "./index.js";
  export * from "./index.js";
  let boarded = 0;
  export class Flight extends Counted {
    fetch(request) {
      boarded += 1;
      return super.fetch(request);
    }
  }
  export default {
    fetch: (request, ...rest) =>
      request.url.endsWith("/memory") ? Response.json({ size: size(), boarded }) : edge.fetch(request, ...rest),
  };
  `,
  {
    "instance.js": `
      let memory;
      WebAssembly.Instance = class extends WebAssembly.Instance {
        constructor(...given) {
          super(...given);
          memory = this.exports.memory;
        }
      };
      export const size = () => memory.buffer.byteLength;
    `,
  },
);

const MIB = 2 ** 20;
/** As many bytes as a picture may have; only its header is one's. */
const file = (bytes) => Buffer.concat([PNG.subarray(0, 40), randomBytes(bytes - 40)]);
const [IMAGE, MASK] = [file(10 * MIB), file(4.9 * MIB)];
const url = (bytes) => `data:image/png;base64,${bytes.toString("base64")}`;

const form = () => {
  const form = new FormData();
  form.append("prompt", "p");
  form.append("image", new File([IMAGE], "a.png"));
  form.append("mask", new File([MASK], "b.png"));
  return form;
};

const memory = async (edge) => (await edge.fetch("/memory")).json();

describe("the memory that is taken by", () => {
  for (const [what, path, bodyOf] of [
    ["JSON", "/api/media/generate-image", () => JSON.stringify({ prompt: "p", init_image: url(IMAGE), mask: url(MASK) })],
    ["a form", "/v1/images/edits", form],
  ]) {
    const edge = useEdge({ options });
    const size = async () => (await memory(edge)).size;
    before(() => useStudio(edge));

    test(`the largest body, of ${what}, is half of what there is`, LIMIT, async () => {
      const body = bodyOf();
      const headers = typeof body === "string" ? { "content-type": "application/json" } : {};
      const response = await edge.fetch(path, { method: "POST", headers, body });
      assert.ok(response.ok, await response.text());
      const taken = await size();
      assert.ok(taken < 64 * MIB, `${Math.round(taken / MIB)} MiB`);
    });
  }
});

describe("callers who wait for the same pictures", () => {
  const edge = useEdge({ options });

  test("have given their bodies away", LIMIT, async () => {
    edge.origin.models = [MODEL];
    const held = new Promise((resolve) => (edge.origin.answer = (_, response) => resolve(response)));
    const body = JSON.stringify({ prompt: "p", seed: 1, init_image: url(MASK) });
    const [calls, sizes] = [[], []];
    while (calls.length < 4) {
      calls.push(edge.generate(body));
      while ((await memory(edge)).boarded < calls.length);
      if (calls.length === 1) await held;
      sizes.push((await memory(edge)).size);
    }
    json(await held, 200, { job: {}, images: [{}] });
    for (const answer of await Promise.all(calls)) assert.equal(answer.status, 200);
    const more = (sizes.at(-1) - sizes[0]) / MIB;
    assert.ok(more < (1.5 * body.length) / MIB, `${Math.round(more)} MiB`);
  });
});
