// Starts the built edge in a real workerd, with a scripted origin behind it.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { assertDocumented } from "./documented.mjs";
import { ScriptedOrigin } from "./origin.mjs";

const root = new URL("../../", import.meta.url);
const build = new URL("edge/build/", root);

// miniflare comes with wrangler: this is wrangler's own, whatever else may be installed.
const require = createRequire(import.meta.url);
const { Miniflare, NoOpLog } = createRequire(require.resolve("wrangler/package.json"))("miniflare");

export const wranglerToml = readFileSync(new URL("wrangler.toml", root), "utf8");
const compatibilityDate = /^compatibility_date = "(.+)"$/m.exec(wranglerToml)[1];
const compatibilityFlags = JSON.parse(/^compatibility_flags = (.+)$/m.exec(wranglerToml)[1]);

export const API_KEY = `dk_${"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno".slice(0, 43)}`;
export const ORIGIN_SECRET = { id: "test", secret: randomBytes(32).toString("hex") };

/** No test may take longer: each only waits for things that happen at once. */
export const LIMIT = { timeout: 20_000 };

export const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/**
 * The edge and its origins for the tests of one file, started before and stopped after them.
 * `bindings` override those of a well-configured edge; one that is `undefined` is left out.
 * `options` and `others` are for miniflare: more about the edge's worker, and workers beside it.
 * What is stored is kept in the folder `persist`, where one is named.
 */
export function useEdge(setup = {}) {
  const edge = new Edge();
  before(() => edge.start(setup), LIMIT);
  after(() => edge.stop(), LIMIT);
  return edge;
}

class Edge {
  async start(setup) {
    const { bindings = {}, origins = 1, originIsDown = false, persist } = setup;
    assert.ok(existsSync(new URL("index.js", build)), "run `scripts/edge-build` first");
    this.origins = Array.from({ length: origins }, () => new ScriptedOrigin(ORIGIN_SECRET));
    this.origin = this.origins[0];
    const urls = await Promise.all(this.origins.map((origin) => origin.start()));
    if (originIsDown) await this.origin.stop();
    const all = {
      ORIGIN_URL: urls.join(","),
      ORIGIN_SECRETS: `${ORIGIN_SECRET.id}:${ORIGIN_SECRET.secret},old:${"0".repeat(32)}`,
      ORIGIN_TIMEOUT_SECONDS: "15",
      ADMIN_KEY_SHA256: sha256(API_KEY),
      RATE_PER_MINUTE: "1000",
      DAILY_IMAGES: "1000",
      ...bindings,
    };
    const worker = {
      scriptPath: fileURLToPath(new URL("index.js", build)),
      modulesRoot: fileURLToPath(build),
      kvNamespaces: ["KEYS", "RECIPES"],
      durableObjects: {
        KEY_ALLOWANCES: { className: "KeyAllowance", useSQLite: true },
        FLIGHTS: { className: "Flight", useSQLite: true },
        IDEMPOTENCY_KEYS: { className: "IdempotencyKey", useSQLite: true },
      },
      bindings: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)),
      ...setup.options,
    };
    const stores = persist && { kvPersist: persist, durableObjectsPersist: persist };
    this.workerd = [worker, setup.others, stores];
    await this.restart();
  }

  /** Ends workerd and starts it again: what is left is what was stored. */
  async restart() {
    await this.miniflare?.dispose();
    const { miniflare, log } = startWorkerd(...this.workerd);
    this.miniflare = miniflare;
    this.log = log;
    this.url = (await miniflare.ready).origin;
  }

  async stop() {
    await this.miniflare?.dispose();
    for (const origin of this.origins) {
      await origin.stop();
      assert.deepEqual(origin.violations, [], "the origin could not verify all that it was sent");
    }
  }

  /** Asks the edge with a valid key; `key: null` sends none. */
  async fetch(path, { key = API_KEY, headers = {}, ...init } = {}) {
    const authorization = key === null ? {} : { authorization: `Bearer ${key}` };
    const response = await fetch(`${this.url}${path}`, {
      redirect: "manual",
      headers: { ...authorization, ...headers },
      ...init,
    });
    assertDocumented(init.method ?? "GET", path, response.status, response.headers);
    return response;
  }

  /** Sends JSON; `body: undefined` sends none. */
  post(path, body, { headers = {}, ...init } = {}) {
    const json = body === undefined ? {} : { "content-type": "application/json" };
    return this.fetch(path, {
      method: "POST",
      headers: { ...json, ...headers },
      body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
      ...init,
    });
  }

  /** Creates a key with the first admin key, and answers it with its text. */
  async newKey(body = {}) {
    const response = await this.post("/api/keys", body);
    assert.equal(response.status, 201, await response.clone().text());
    return response.json();
  }

  /** Sends a body that may never end, and reads the answer that comes before its end. */
  upload(path, headers, chunks) {
    return new Promise((resolve, reject) => {
      const request = http.request(`${this.url}${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${API_KEY}`, ...headers },
      });
      let answered = false;
      request.on("error", (error) => answered || reject(error));
      request.on("response", (response) => {
        answered = true;
        let text = "";
        response.setEncoding("utf8").on("data", (data) => (text += data));
        response.on("end", () => {
          request.destroy();
          assertDocumented("POST", path, response.statusCode, new Headers(response.headers));
          resolve({ status: response.statusCode, body: JSON.parse(text) });
        });
      });
      request.flushHeaders();
      for (const chunk of chunks) request.write(chunk);
    });
  }

  generate(body, { headers = {}, ...init } = {}) {
    return this.fetch("/api/media/generate-image", {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body),
      ...init,
    });
  }
}

/** A console. What is written may arrive after the answer that it is about. */
class Log {
  text = "";
  #changed = new EventEmitter();

  add(text) {
    this.text += text;
    this.#changed.emit("text");
  }

  /** Resolves with the match when the text has one; the test's own limit bounds it. */
  async until(pattern) {
    while (!pattern.test(this.text)) await once(this.#changed, "text");
    return pattern.exec(this.text);
  }

  /** The lines that are JSON objects, read. */
  get lines() {
    return this.text.split("\n").flatMap((line) => (/^\{.*\}$/.test(line) ? [JSON.parse(line)] : []));
  }

  /** Resolves with the first such line, when there is one. */
  async line(isIt) {
    while (!this.lines.some(isIt)) await once(this.#changed, "text");
    return this.lines.find(isIt);
  }

  /** The one line that tells of a request's answer. */
  async answered(requestId) {
    const isIt = (line) => line.message === "answered" && line.request_id === requestId;
    const line = await this.line(isIt);
    assert.equal(this.lines.filter(isIt).length, 1);
    return line;
  }
}

/** A workerd that runs modules from disk; what it writes to its console is in `log.text`. */
export function startWorkerd(worker, others = [], stores = {}) {
  const log = new Log();
  const collect = (stream) => stream.setEncoding("utf8").on("data", (text) => log.add(text));
  const edge = {
    modules: true,
    modulesRules: [
      { type: "ESModule", include: ["**/*.js"] },
      { type: "CompiledWasm", include: ["**/*.wasm"] },
    ],
    compatibilityDate,
    compatibilityFlags,
    ...worker,
  };
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    cf: false,
    log: new NoOpLog(),
    handleRuntimeStdio: (stdout, stderr) => [stdout, stderr].forEach(collect),
    workers: [{ name: "edge", ...edge }, ...others],
    ...stores,
  });
  return { miniflare, log };
}

/** The same of an answer under /v1, whose errors have OpenAI's form. */
export async function openAiError(response, status, code) {
  assert.equal(response.status, status);
  assert.equal(response.headers.get("content-type"), "application/json");
  const { error } = await response.json();
  assert.deepEqual(Object.keys(error).sort(), ["code", "message", "param", "type"]);
  assert.equal(error.code, code);
  assert.ok(error.message && error.type);
  assert.doesNotMatch(JSON.stringify(error), /127\.0\.0\.1|localhost|\.rs:|stack/i);
  return error;
}

/** Reads an answer that must be a problem document, and checks its form. */
export async function problem(response, status, code) {
  assert.equal(response.status, status);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal(response.headers.get("cache-control"), "no-store");
  const document = await response.json();
  assert.equal(document.status, status);
  assert.equal(document.code, code);
  assert.equal(document.type, "about:blank");
  assert.ok(document.title && document.detail);
  assert.equal(document.request_id, response.headers.get("x-request-id"));
  assert.doesNotMatch(JSON.stringify(document), /127\.0\.0\.1|localhost|\.rs:|stack/i);
  return document;
}
