// Starts the built edge in a real workerd, with a scripted origin behind it.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { ScriptedOrigin } from "./origin.mjs";

const root = new URL("../../", import.meta.url);
const build = new URL("edge/build/", root);

// miniflare comes with wrangler: this is wrangler's own, whatever else may be installed.
const require = createRequire(import.meta.url);
const { Miniflare, NoOpLog } = createRequire(require.resolve("wrangler/package.json"))("miniflare");

const wranglerToml = readFileSync(new URL("wrangler.toml", root), "utf8");
const compatibilityDate = /^compatibility_date = "(.+)"$/m.exec(wranglerToml)[1];

export const API_KEY = `dk_${"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno".slice(0, 43)}`;
export const ORIGIN_SECRET = { id: "test", secret: randomBytes(32).toString("hex") };

/** No test may take longer: each only waits for things that happen at once. */
export const LIMIT = { timeout: 20_000 };

export const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/**
 * The edge and its origin for the tests of one file, started before and stopped after them.
 * `bindings` override those of a well-configured edge; one that is `undefined` is left out.
 */
export function useEdge({ bindings = {}, originIsDown = false, kvNamespaces = ["KEYS"] } = {}) {
  const edge = new Edge();
  before(() => edge.start(bindings, originIsDown, kvNamespaces), LIMIT);
  after(() => edge.stop(), LIMIT);
  return edge;
}

class Edge {
  async start(bindings, originIsDown, kvNamespaces) {
    assert.ok(existsSync(new URL("index.js", build)), "run `scripts/edge-build` first");
    this.origin = new ScriptedOrigin(ORIGIN_SECRET);
    const originUrl = await this.origin.start();
    if (originIsDown) await this.origin.stop();
    const all = {
      ORIGIN_URL: originUrl,
      ORIGIN_SECRETS: `${ORIGIN_SECRET.id}:${ORIGIN_SECRET.secret},old:${"0".repeat(32)}`,
      ORIGIN_TIMEOUT_SECONDS: "15",
      ADMIN_KEY_SHA256: sha256(API_KEY),
      ...bindings,
    };
    const { miniflare, log } = startWorkerd({
      scriptPath: fileURLToPath(new URL("index.js", build)),
      modulesRoot: fileURLToPath(build),
      kvNamespaces,
      bindings: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)),
    });
    this.miniflare = miniflare;
    this.log = log;
    this.url = (await miniflare.ready).origin;
  }

  async stop() {
    await this.miniflare?.dispose();
    await this.origin.stop();
    assert.deepEqual(this.origin.violations, [], "the origin could not verify all that it was sent");
  }

  /** Asks the edge with a valid key; `key: null` sends none. */
  fetch(path, { key = API_KEY, headers = {}, ...init } = {}) {
    const authorization = key === null ? {} : { authorization: `Bearer ${key}` };
    return fetch(`${this.url}${path}`, {
      redirect: "manual",
      headers: { ...authorization, ...headers },
      ...init,
    });
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

  /** Resolves when the text matches; the test's own limit bounds it. */
  async until(pattern) {
    while (!pattern.test(this.text)) await once(this.#changed, "text");
  }
}

/** A workerd that runs modules from disk; what it writes to its console is in `log.text`. */
export function startWorkerd(options) {
  const log = new Log();
  const collect = (stream) => stream.setEncoding("utf8").on("data", (text) => log.add(text));
  const miniflare = new Miniflare({
    modules: true,
    modulesRules: [
      { type: "ESModule", include: ["**/*.js"] },
      { type: "CompiledWasm", include: ["**/*.wasm"] },
    ],
    compatibilityDate,
    host: "127.0.0.1",
    port: 0,
    cf: false,
    log: new NoOpLog(),
    handleRuntimeStdio: (stdout, stderr) => [stdout, stderr].forEach(collect),
    ...options,
  });
  return { miniflare, log };
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
