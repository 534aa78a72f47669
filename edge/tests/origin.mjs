// An origin that does what a test tells it, and verifies every signature by itself: the form
// that the Rust code signs is checked against RFC 9421 read a second time.
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

const COVERED = '("@method" "@path" "@query" "content-digest" "darkroom-caller")';
const INPUT = /^darkroom=(\(.*\);created=(\d+);nonce="([0-9a-f]{32})";keyid="([^"]+)";alg="hmac-sha256")$/;
const UNSIGNED = ["/healthz", "/readyz"];

/** What an origin offers, as it says it. */
export const MODEL = {
  name: "demo",
  revision: "r1",
  engine: "e1",
  default: true,
  defaults: { width: 128, height: 128, steps: 20, guidance_scale: 3, scheduler: "euler" },
  schedulers: ["euler", "unipc"],
  formats: ["png", "webp"],
};

export class ScriptedOrigin {
  /** Requests whose signature was good, in the order they came: `{method, url, headers, body}`. */
  requests = [];
  /** What it says it offers when the edge itself asks; `null` for an origin that is not ready. */
  models = null;
  /** What it waits for before it says so. */
  modelsHeld = null;
  /** How often the edge has asked for that. */
  modelsAsked = 0;
  /** What was wrong with the others. */
  violations = [];
  /** Answers a request; each test sets its own. */
  answer = (request, response) => json(response, 200, {});

  constructor(secret) {
    this.secret = secret;
    this.nonces = new Set();
  }

  /** Starts, or starts again where it was. */
  async start() {
    this.server = createServer((request, response) => this.#receive(request, response));
    this.server.listen(this.port ?? 0, "127.0.0.1");
    await once(this.server, "listening");
    this.port = this.server.address().port;
    return `http://127.0.0.1:${this.port}`;
  }

  async stop() {
    if (!this.server.listening) return;
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  /** The only request since the last call. */
  takeOne() {
    const taken = this.requests.splice(0);
    if (taken.length !== 1) throw new Error(`${taken.length} requests instead of one`);
    return taken[0];
  }

  async #receive(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const { method, url, headers } = request;
    if (!UNSIGNED.includes(url)) {
      const wrong = this.#whatIsWrong(method, url, headers, body);
      if (wrong) {
        this.violations.push(`${method} ${url}: ${wrong}`);
        response.writeHead(401).end();
        return;
      }
    }
    if (url === "/api/models" && headers["darkroom-caller"] === "anonymous") {
      this.modelsAsked += 1;
      await this.modelsHeld;
      const page = { items: this.models, next_cursor: null };
      this.models ? json(response, 200, page) : refuse(request, response, 503, "unavailable");
      return;
    }
    this.requests.push({ method, url, headers, body: body.toString() });
    this.answer(request, response, body);
  }

  #whatIsWrong(method, url, headers, body) {
    const digest = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
    if (headers["content-digest"] !== digest) return "the digest is not the body's";
    const [, parameters, created, nonce, keyid] = INPUT.exec(headers["signature-input"]) ?? [];
    if (!parameters?.startsWith(`${COVERED};`)) return `signed is ${headers["signature-input"]}`;
    if (keyid !== this.secret.id) return `signed by ${keyid}`;
    if (Math.abs(Date.now() / 1000 - Number(created)) > 60) return "too old";
    if (this.nonces.has(nonce)) return "a replay";
    this.nonces.add(nonce);
    const [, path, query = ""] = /^([^?]*)\??(.*)$/.exec(url);
    const base = [
      `"@method": ${method}`,
      `"@path": ${path}`,
      `"@query": ?${query}`,
      `"content-digest": ${digest}`,
      `"darkroom-caller": ${headers["darkroom-caller"]}`,
      `"@signature-params": ${parameters}`,
    ].join("\n");
    const expected = createHmac("sha256", this.secret.secret).update(base).digest();
    const [, found = ""] = /^darkroom=:(.+):$/.exec(headers.signature) ?? [];
    const given = Buffer.from(found, "base64");
    const fits = given.length === expected.length && timingSafeEqual(given, expected);
    return fits ? null : "the signature does not fit";
  }
}

/** Answers byte by byte, with what no server would say. */
export const raw = (bytes) => (request, response) => response.socket.end(bytes);

/** Answers with a problem document of the caller's request. */
export function refuse(request, response, status, code) {
  const request_id = request.headers["x-request-id"];
  const problem = { type: "about:blank", title: "t", status, code, detail: "d", request_id };
  json(response, status, problem, { "content-type": "application/problem+json" });
}

export function json(response, status, body, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}
