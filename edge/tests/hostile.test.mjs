// Hostile input at every route there is: each is refused cleanly, and nothing traps.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { API_KEY, openAiError, problem, useEdge } from "./harness.mjs";
import { MODEL, json, refuse } from "./origin.mjs";
import { ECDSA, secret } from "./signing.mjs";

const LIMIT = { timeout: 60_000 };
const STANDS_FOR = {
  id: "0193c7a2-ab_c",
  file: "1700000000-01234567-89ab-cdef-0123-456789abcdef.png",
};

/** The table of routes, out of the source: what is added there is tested here. */
function readTable() {
  const source = readFileSync(new URL("../src/routes.rs", import.meta.url), "utf8");
  const table = /^const TABLE:[^=]*= &\[$([\s\S]*?)^\];$/m.exec(source)[1];
  const rows = [...table.matchAll(/Row\(\s*"([^"]+)",([\s\S]*?)(?=Row\(|$)/g)].map(([, pattern, actions]) => ({
    pattern,
    methods: [...actions.matchAll(/\(\s*"([A-Z]+)"/g)].map(([, method]) => method),
    path: pattern.replace(/\{(\w+)\}/g, (_, name) => {
      assert.ok(STANDS_FOR[name], `say in STANDS_FOR what {${name}} may be`);
      return STANDS_FOR[name];
    }),
  }));
  assert.equal(rows.length, table.match(/\bRow\(/g).length);
  assert.ok(rows.length > 5 && rows.every(({ methods }) => methods.length > 0));
  return rows;
}

const TABLE = readTable();
const CALLS = TABLE.flatMap((row) => row.methods.map((method) => ({ ...row, method })));
const MIB = 1024 * 1024;

const BODIES = {
  nothing: "",
  "half of it": '{"prompt": "a red',
  "nothing but a bracket": "{",
  "no object": '"prompt"',
  "ten megabytes of prompt": JSON.stringify({ prompt: "a".repeat(10 * MIB) }),
  "more than is taken": Buffer.alloc(20 * MIB + 1, "["),
  "no UTF-8": Buffer.from('{"prompt": "\xff\xfe\xc0\x80"}', "latin1"),
  "half a surrogate": '{"prompt": "\\ud800"}',
  "a NUL": '{"prompt": "a\\u0000b"}',
  "a raw NUL": '{"prompt": "a\0b"}',
  "deep arrays": "[".repeat(200_000),
  "a deep object": `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`,
  "a deep field": `{"prompt":"p","loras":${"[".repeat(100_000)}${"]".repeat(100_000)}}`,
  "numbers of no size": '{"prompt":"p","seed":1e999,"steps":-0,"width":99999999999999999999999999}',
  "fractions and signs": '{"prompt":"p","n":0.5,"steps":-1,"grace_seconds":-1e30}',
  "the same field twice": '{"prompt":"p","prompt":"p"}',
  "wrong types": '{"prompt":[],"seed":{},"n":"1","name":1,"scopes":{"a":1},"grace_seconds":[]}',
  "a field of a megabyte": `{"${"x".repeat(MIB)}":1}`,
  "a hundred thousand fields": `{${Array.from({ length: 100_000 }, (_, i) => `"f${i}":1`).join(",")}}`,
  "a prototype": '{"__proto__":{"prompt":"p"},"constructor":{}}',
  "a byte order mark": '\ufeff{"prompt":"p"}',
};

const MEDIA_TYPES = ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json/json", ";;;=", "application/json-patch+json", "x".repeat(4000)];

const HEADERS = [
  { prefer: "wait=99999999999999999999, wait=-1, respond-async;;;=" },
  { traceparent: `00-${"f".repeat(5000)}` },
  { "x-request-id": "x".repeat(5000) },
  { "last-event-id": "../../".repeat(100) },
  { range: "bytes=99999999999999999999-0,-,5-" },
  { range: "bytes=-99999999999999999999" },
  { "if-none-match": ",".repeat(5000) },
  { "if-range": '"' },
  { origin: "javascript:alert(1)" },
  { "idempotency-key": "\xff".repeat(300) },
  { authorization: "Bearer" },
  { authorization: `Bearer dk_${"\xe9".repeat(43)}` },
  { authorization: `Bearer ${"a.".repeat(4000)}` },
  { authorization: `Bearer ${Buffer.from('{"alg":"none"}').toString("base64url")}.e30.` },
  { authorization: `Bearer ${API_KEY}${API_KEY}` },
  { authorization: `Basic ${API_KEY}` },
  { "content-length": "5", "content-encoding": "gzip" },
  { "signature-input": "darkroom=()", "darkroom-caller": "admin", forwarded: "for=origin" },
  Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`x-${i}`, "y"])),
];

const QUERIES = ["a=".repeat(3000), "x".repeat(60_000), "%", "%zz=%00", "cursor=%ff%fe", "limit=-1", "limit=99999999999999999999", "limit=1&limit=2", "limit=%31", "cursor=../../x", "a[]=1&a[b]=2", "&&==;;??", "cursor=%F0%9F%92%A5"];

const METHODS = ["OPTIONS", "PATCH", "PROPFIND", "PURGE", "BREW", "get", "CONNECT", "TRACE", "G\0T", "x".repeat(5000)];

/** Paths that some server somewhere takes for another one. */
const tricks = (path) => [
  `${path}/../../private/generated/${STANDS_FOR.file}`,
  `${path}/..%2f..%2fprivate%2fgenerated%2f${STANDS_FOR.file}`,
  `${path}/%2e%2e/%2e%2e/private/generated/${STANDS_FOR.file}`,
  `${path}/%252e%252e/x`,
  `${path}%2f`,
  `${path}%00`,
  `${path}%00.png`,
  `${path}%0d%0aset-cookie:%20a=b`,
  `${path}/`,
  `${path}//`,
  `/${path}`,
  `${path}/.`,
  `${path};a=b`,
  `${path}\\..\\x`,
  `${path}/%c0%ae%c0%ae/%c0%af`,
  `${path}%`,
  `${path}%zz`,
  `${path}/é`,
  `${path}/${"a".repeat(9000)}`,
  `${path}${"/..".repeat(500)}/etc/passwd`,
  path.replace(/[^/]*$/, "%2e%2e"),
  path.replace(/[^/]*$/, (last) => last.replace(/./gs, (c) => `%${c.charCodeAt(0).toString(16)}`)),
  path.replace(/[^/]*$/, "x".repeat(65)),
  path.toUpperCase(),
];

const bindings = { SIGNING_KEYS: secret(ECDSA) };
const edge = useEdge({ bindings });
const alone = useEdge({ bindings, originIsDown: true });

/** Not hostile to ask for: these answer well, whatever comes with it. */
const MAY_BE_WELL = ["POST /api/signed-cookies", "OPTIONS /generated/{file}", "OPTIONS /private/generated/{file}", "GET /healthz", "HEAD /healthz", "GET /readyz", "HEAD /readyz", "GET /api/keys", "GET /v1/models"];

/** An answer to hostile input: a problem of the caller's, in the usual form. */
async function refused({ status, headers, text }, method, pattern, what) {
  // The runtime refuses some by itself: the edge has not heard of them.
  if (!headers.has("x-request-id")) return assert.ok(status >= 400, `${status} for ${what}`);
  if (status < 400) return assert.ok(MAY_BE_WELL.includes(`${method} ${pattern}`), `${status} for ${what}`);
  assert.ok(status < 500, `${status} for ${what}: ${text}`);
  // There is nothing more in the answer to a HEAD.
  if (text) await inForm(pattern, new Response(text, { status, headers }), text);
}

/** An error has the usual form, or that of OpenAI under /v1: where a trick has not led away from it. */
function inForm(pattern, response, text) {
  const { status } = response;
  const said = JSON.parse(text);
  const isOpenAi = pattern.startsWith("/v1/") && "error" in said;
  return isOpenAi ? openAiError(response, status, said.error.code) : problem(response, status, said.code);
}

/** Asks with a client, which may find that the edge hangs up on a body it has no use for. */
async function ask(path, init) {
  try {
    const response = await edge.fetch(path, init);
    const { status, headers } = response;
    return { status, headers, text: await response.text() };
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    assert.ok(init.body?.length > MIB && error.cause?.code, error.cause);
    return { status: 413, headers: new Headers(), text: "" };
  }
}

/** Asks byte by byte. A connection that ends without a word is refused too. */
function send(bytes) {
  const { hostname, port } = new URL(edge.url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    let answer = "";
    const done = () => {
      const [, status = 400, head, text = ""] = /^HTTP\/1\.1 (\d+)[^\r]*\r\n(.*?)\r\n\r\n(.*)$/s.exec(answer) ?? [];
      const headers = new Headers(head?.split("\r\n").map((line) => line.split(/: *(.*)/s)).map(([name, value]) => [name, value]));
      resolve({ status: Number(status), headers, text });
      socket.destroy();
    };
    socket.setEncoding("latin1").on("data", (data) => (answer += data));
    for (const event of ["end", "close", "error"]) socket.on(event, done);
    socket.end(Buffer.from(bytes, "latin1"));
  });
}

const head = (method, target, lines = []) =>
  [
    `${method} ${target} HTTP/1.1`,
    `Host: ${new URL(edge.url).host}`,
    `Authorization: Bearer ${API_KEY}`,
    "Connection: close",
    ...lines,
    "\r\n",
  ].join("\r\n");

describe("hostile input", () => {
  before(() => {
    edge.origin.models = [MODEL];
    edge.origin.answer = (request, response) => {
      if (request.url === "/readyz") json(response, 200, {});
      else refuse(request, response, 404, "not_found");
    };
  });

  after(async () => {
    for (const { log, url } of [edge, alone]) {
      assert.equal((await fetch(`${url}/healthz`)).status, 200);
      assert.doesNotMatch(log.text, /had hung|panic|trapped|RuntimeError|fresh wasm|internal_error/i);
    }
    const heard = edge.log.lines.filter(({ message }) => message === "answered").length;
    assert.ok(heard > 50 * CALLS.length, `of all that, the edge has heard only ${heard}`);
  });

  for (const { method, pattern, path } of CALLS) {
    const name = `${method} ${pattern}`;

    test(`to ${name} is refused`, LIMIT, async () => {
      const isRefused = async (what, target, init) =>
        refused(await ask(target, { method, ...init }), method, pattern, `${what} to ${name}`);

      if (!["GET", "HEAD"].includes(method)) {
        for (const [what, body] of Object.entries(BODIES)) {
          await isRefused(what, path, { body, headers: { "content-type": "application/json" } });
        }
        for (const type of MEDIA_TYPES) {
          await isRefused(`the media type ${type}`, path, { body: "x", headers: { "content-type": type } });
        }
      }
      for (const headers of HEADERS) await isRefused(Object.keys(headers)[0], path, { headers });
      for (const query of QUERIES) await isRefused(query.slice(0, 20), `${path}?${query}`);
      for (const key of [null, "", "dk_", "x".repeat(8000)]) await isRefused(`the key ${key}`, path, { key });
    });

    test(`to ${name} byte by byte is refused`, LIMIT, async () => {
      const type = "Content-Type: application/json";
      for (const [what, bytes] of Object.entries({
        "less than announced": head(method, path, [type, "Content-Length: 100"]) + "{}",
        "more than announced": head(method, path, [type, "Content-Length: 1"]) + '{"prompt":"p"}',
        "a length of no size": head(method, path, [type, "Content-Length: 99999999999999999999"]),
        "a large length": head(method, path, [type, "Content-Length: 9007199254740993"]) + "{}",
        "a negative length": head(method, path, [type, "Content-Length: -1"]),
        "two lengths": head(method, path, [type, "Content-Length: 2", "Content-Length: 3"]) + "{}",
        "length and chunks": head(method, path, [type, "Content-Length: 2", "Transfer-Encoding: chunked"]) + "zz\r\n{}",
        "broken chunks": head(method, path, [type, "Transfer-Encoding: chunked"]) + "2\r\n{}\r\nzz\r\n",
        "endless chunks": head(method, path, [type, "Transfer-Encoding: chunked"]) + "ffffffffffffffff\r\n{}",
        "a NUL in a header": head(method, path, ["X-A: \0"]),
        "no UTF-8 in headers": head(method, path, ["X-Request-Id: \xff\xfe", "Prefer: \xc0\x80", "Traceparent: \xff"]),
        "headers of a megabyte": head(method, path, [`X-A: ${"a".repeat(MIB)}`]),
        "ten thousand headers": head(method, path, Array.from({ length: 10_000 }, (_, i) => `X-${i}: y`)),
        "half a head": head(method, path).slice(0, 60),
        "another protocol": `${method} ${path} HTTP/9.9\r\n\r\n`,
      })) {
        await refused(await send(bytes), method, pattern, `${what} to ${name}`);
      }
    });
  }

  for (const { pattern, path, methods } of TABLE) {
    test(`about the path ${pattern} is refused`, LIMIT, async () => {
      for (const target of tricks(path)) {
        await refused(await send(head(methods[0], target)), methods[0], pattern, target.slice(0, 80));
      }
      for (const method of METHODS) {
        await refused(await send(head(method, path)), method, pattern, `${method.slice(0, 20)} ${path}`);
      }
    });
  }

  test("finds every route clean when the origin is down too", LIMIT, async () => {
    for (const { method, path, pattern } of CALLS) {
      const body = method === "POST" ? '{"prompt":"p"}' : undefined;
      const headers = body ? { "content-type": "application/json" } : {};
      const response = await alone.fetch(path, { method, body, headers });
      const { status } = response;
      if (![502, 503, 504].includes(status)) {
        assert.ok(status < 500, `${status} for ${method} ${pattern}`);
        continue;
      }
      assert.ok(Number(response.headers.get("retry-after")) > 0);
      if (method === "HEAD") continue;
      const text = await response.clone().text();
      assert.match(text, status === 503 ? /"unavailable"/ : /"origin_unreachable"/);
      await inForm(pattern, response, text);
    }
  });
});
