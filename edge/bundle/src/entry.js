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
  if (isTrap(error)) noteBroken(error);
}

function noteBroken(error) {
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

// What is thrown while a future is polled surfaces here and not in the call that started it. It
// need be no trap: whatever it was, it went through Rust's frames without tidying them up, so that
// the future is never polled again, and who waits for it would wait for good.
addEventListener("error", (event) => noteBroken(event.error));

// Futures are woken by this. The runtime's own goes through C++ each time, a promise does not.
globalThis.queueMicrotask = (task) => {
  Promise.resolve().then(task).catch(noteBroken);
};

// Calls into the Rust code, until it answers or its instance traps. One promise tells of both: a race
// of two would be four more for each request.
function untilTrap(work) {
  return new Promise((resolve, giveUp) => {
    const end = (tell, value) => {
      waiting.delete(giveUp);
      tell(value);
    };
    const fail = (error) => {
      end(giveUp, error);
      noteTrap(error);
    };
    try {
      reviveAfterTrap();
      waiting.add(giveUp);
      work().then((answer) => end(resolve, answer), fail);
    } catch (error) {
      fail(error);
    }
  });
}

// As the Rust code chooses it.
function requestId(request) {
  const sent = request.headers.get("x-request-id") ?? "";
  return /^[\w.-]{1,128}$/.test(sent) ? sent : crypto.randomUUID();
}

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
      "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "x-request-id": id,
    },
  });
}

export default {
  async fetch(request, env, context) {
    try {
      return await untilTrap(() => edge.fetch(request, env, context));
    } catch (error) {
      const id = requestId(request);
      const message = `the edge threw: ${error?.stack ?? error}`;
      console.error(JSON.stringify({ level: "error", message, status: 500, request_id: id }));
      return brokenAnswer(id, new URL(request.url).pathname);
    }
  },

  scheduled(event, env, context) {
    return untilTrap(() => edge.scheduled(event, env, context));
  },
};

// A Durable Object, whose Rust half is made anew with the instance. What it throws is for the
// handler that asked it.
class RustObject {
  #make;
  #half;
  #instance;

  constructor(Half, objectState, env) {
    this.#make = () => new Half(objectState, env);
  }

  fetch(request) {
    return untilTrap(() => this.#rust().fetch(request));
  }

  alarm() {
    return untilTrap(() => this.#rust().alarm());
  }

  #rust() {
    if (this.#instance !== state.instanceId) {
      this.#half = this.#make();
      this.#instance = state.instanceId;
    }
    return this.#half;
  }
}

export class KeyAllowance extends RustObject {
  constructor(objectState, env) {
    super(edge.KeyAllowance, objectState, env);
  }
}

export class Flight extends RustObject {
  constructor(objectState, env) {
    super(edge.Flight, objectState, env);
  }
}

export class IdempotencyKey extends RustObject {
  constructor(objectState, env) {
    super(edge.IdempotencyKey, objectState, env);
  }
}
