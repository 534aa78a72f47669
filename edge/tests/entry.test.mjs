import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test, { after } from "node:test";
import { LIMIT, startWorkerd } from "./harness.mjs";

const ENTRY = readFileSync(new URL("../build/index.js", import.meta.url), "utf8");

// Stands for the glue: an instance that traps once it is told to, until it is replaced.
const GLUE = `
  const state = { criticalError: false, instanceId: 0 };
  let broken = false;
  export const __worker_init_state = () => state;
  export const __wbg_reset_state = () => { broken = false; };
  export async function fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/throw") throw new Error("a secret place");
    if (pathname === "/trap") broken = true;
    if (broken) throw new WebAssembly.RuntimeError("unreachable");
    return new Response(String(state.instanceId));
  }
`;

test("a trapped instance is answered for and replaced", LIMIT, async () => {
  const { miniflare, log } = startWorkerd({
    modules: [
      { type: "ESModule", path: "index.js", contents: ENTRY },
      { type: "ESModule", path: "glue.js", contents: GLUE },
    ],
  });
  after(() => miniflare.dispose());
  const url = (await miniflare.ready).origin;
  const get = async (path) => {
    const response = await fetch(url + path);
    return [response.status, await response.text(), response.headers.get("x-request-id")];
  };

  const instance = async () => (await get("/"))[1];

  assert.equal(await instance(), "0");
  const [status, body, id] = await get("/throw");
  assert.equal(status, 500);
  assert.equal(JSON.parse(body).code, "internal_error");
  assert.equal(JSON.parse(body).request_id, id);
  assert.ok(id);
  assert.ok(!body.includes("secret"));
  assert.equal(await instance(), "0", "an ordinary exception breaks no instance");

  assert.equal((await get("/trap"))[0], 500);
  assert.equal(await instance(), "1");
  await log.until(new RegExp(`${id}: .*a secret place`));
  await log.until(/fresh wasm instance/);
});
