// The Worker's entry: hands every request to the Rust code, and gives it a fresh wasm instance
// after a trap, for a trapped instance's memory may be in any state.
import * as edge from "./glue.js";

// The Rust side's own mark: its panic hook sets `criticalError`.
const state = edge.__worker_init_state();

// Calls that the current instance still has to answer. What it was doing for them ends with it.
const waiting = new Set();

// Too deep a recursion is a RangeError.
const isTrap = (error) => error instanceof WebAssembly.RuntimeError || error instanceof RangeError;

function noteTrap(error) {
  if (!isTrap(error)) return;
  console.error("the edge trapped:", error);
  state.criticalError = true;
  // No trap of its own: by the time that it is caught, a fresh instance may be at work.
  for (const giveUp of waiting) giveUp(new Error("the instance trapped that had this call"));
}

function reviveAfterTrap() {
  if (!state.criticalError) return;
  console.warn("the edge takes a fresh wasm instance");
  edge.__wbg_reset_state();
  state.criticalError = false;
  state.instanceId += 1;
}

// A trap inside an awaited future surfaces here and not in the call that started it.
addEventListener("error", (event) => noteTrap(event.error));

// The one answer that cannot come from Rust. Like all others it tells nothing of the inside, and
// under /v1 it has OpenAI's shape.
function brokenAnswer(id, path) {
  const problem = {
    type: "about:blank",
    title: "Something went wrong on our side",
    status: 500,
    code: "internal_error",
    detail: "the edge failed; the request may be tried again",
    request_id: id,
  };
  const error = { message: problem.detail, type: "server_error", param: null, code: problem.code };
  const isOpenAi = path.startsWith("/v1/");
  return new Response(JSON.stringify(isOpenAi ? { error } : problem), {
    status: 500,
    headers: {
      "content-type": isOpenAi ? "application/json" : "application/problem+json",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-request-id": id,
    },
  });
}

export default {
  async fetch(request, env, context) {
    const { promise: trap, reject: giveUp } = Promise.withResolvers();
    try {
      reviveAfterTrap();
      waiting.add(giveUp);
      return await Promise.race([edge.fetch(request, env, context), trap]);
    } catch (error) {
      noteTrap(error);
      const id = crypto.randomUUID();
      console.error(`${id}: the edge threw:`, error);
      return brokenAnswer(id, new URL(request.url).pathname);
    } finally {
      waiting.delete(giveUp);
    }
  },
};
