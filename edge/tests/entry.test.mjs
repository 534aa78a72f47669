import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test, { after } from "node:test";
import { LIMIT, startWorkerd } from "./harness.mjs";

const ENTRY = readFileSync(new URL("../build/index.js", import.meta.url), "utf8");

// Stands for the glue: an instance that traps once it is told to, until it is replaced.
const GLUE = `
  const state = { criticalError: false, instanceId: 0 };
  let broken = false;
  const trap = () => { throw new WebAssembly.RuntimeError("unreachable"); };
  const deep = () => 1 + deep();
  const torn = () => { throw new Error("torn"); };
  export const __worker_init_state = () => state;
  export const __wbg_reset_state = () => { broken = false; };
  export async function fetch(request) {
    const { pathname, search } = new URL(request.url);
    console.log("here is", pathname, search);
    if (pathname.endsWith("/throw")) throw new Error("a secret place");
    if (pathname === "/trap") broken = true;
    // As the executor of Rust's futures does: it polls them in microtasks.
    if (pathname === "/trap-later") setTimeout(() => queueMicrotask(trap), 1);
    if (pathname === "/trap-deep") setTimeout(() => queueMicrotask(deep), 1);
    if (pathname === "/torn-later") setTimeout(() => queueMicrotask(torn), 1);
    // Longer than any test waits: what was to come of it is lost with the instance.
    if (/later|deep|wait/.test(pathname)) await scheduler.wait(60_000);
    if (broken) trap();
    return new Response(String(state.instanceId));
  }
`;

const startFake = () =>
  startWorkerd({
    modules: [
      { type: "ESModule", path: "index.js", contents: ENTRY },
      { type: "ESModule", path: "glue.js", contents: GLUE },
    ],
  });

test("a trapped instance is answered for and replaced", LIMIT, async () => {
  const { miniflare, log } = startFake();
  after(() => miniflare.dispose());
  const url = (await miniflare.ready).origin;
  const get = async (path, headers = {}) => {
    const response = await fetch(url + path, { headers });
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
  const { error } = JSON.parse((await get("/v1/throw"))[1]);
  assert.deepEqual([error.code, error.type, error.param], ["internal_error", "server_error", null]);
  assert.equal(await instance(), "0", "an ordinary exception breaks no instance");

  assert.equal((await get("/trap"))[0], 500);
  assert.equal(await instance(), "1");
  const line = await log.line(({ request_id }) => request_id === id);
  assert.deepEqual([line.level, line.status], ["error", 500]);
  assert.match(line.message, /a secret place/);
  assert.equal((await get("/throw", { "x-request-id": "my-id" }))[2], "my-id");
  assert.notEqual((await get("/throw", { "x-request-id": "my id" }))[2], "my id");
  await log.until(/fresh wasm instance/);
});

test("whoever waits for an instance that traps is answered, and at once", LIMIT, async () => {
  const { miniflare, log } = startFake();
  after(() => miniflare.dispose());
  const url = (await miniflare.ready).origin;
  for (const path of ["/trap", "/trap-later", "/trap-deep", "/torn-later"]) {
    const waiting = fetch(`${url}/wait?${path}`);
    await log.until(new RegExp(`here is /wait .${path}$`, "m"));
    for (const response of [await fetch(url + path), await waiting]) {
      assert.equal(response.status, 500, path);
      assert.equal(response.headers.get("content-type"), "application/problem+json");
      const { code, request_id } = await response.json();
      assert.deepEqual([code, request_id], ["internal_error", response.headers.get("x-request-id")]);
    }
    assert.equal((await fetch(url)).status, 200);
  }
  await log.until(/unreachable/);
  await log.until(/torn/);
});
