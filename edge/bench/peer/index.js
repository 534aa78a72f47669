// The plain JavaScript worker that the edge is measured beside. On the paths that are measured it
// does what the edge does, as one would write it by hand for this platform, with the platform's own
// cryptography; `main.mjs` checks that both answer the same. Elsewhere it answers 404.
import { callerOf } from "./auth.js";
import { generate } from "./generate.js";
import { privatePicture, publicPicture } from "./pictures.js";
import { Problem } from "./problem.js";
import { signedUrl } from "./signed-url.js";

export { KeyAllowance } from "./allowance.js";

const FILE = /^\d{1,12}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(png|webp|avif|jpg)$/;
const segment = { "{id}": (text) => /^[\w-]{1,64}$/.test(text), "{file}": (text) => FILE.test(text) };

const open = (handler) => (call) => handler(call);
const keyed = (scopes, handler) => async (call) => handler(call, await callerOf(call, scopes));
const ROUTES = [
  ["/api/media/generate-image", { POST: keyed(["generate"], generate) }],
  ["/api/images/{id}/signed-url", { POST: keyed(["read", "generate"], signedUrl) }],
  ["/generated/{file}", { GET: open(publicPicture), HEAD: open(publicPicture) }],
  ["/private/generated/{file}", { GET: open(privatePicture), HEAD: open(privatePicture) }],
].map(([pattern, methods]) => ({ pattern, parts: pattern.split("/"), methods }));

function routeOf(path) {
  const found = path.split("/");
  const fits = (wanted, at) => segment[wanted]?.(found[at]) ?? wanted === found[at];
  return ROUTES.find(({ parts }) => parts.length === found.length && parts.every(fits));
}

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const random = (length) => hex(crypto.getRandomValues(new Uint8Array(length)));

function takeApart(request, env, context) {
  const url = new URL(request.url);
  const id = request.headers.get("x-request-id");
  const parent = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(request.headers.get("traceparent"));
  return {
    ...{ request, env, context, method: request.method, begun: Date.now() },
    ...{ site: url.origin, path: url.pathname, query: url.search.slice(1) },
    requestId: id && /^[\w.-]{1,128}$/.test(id) ? id : crypto.randomUUID(),
    traceId: parent ? parent[1] : random(16),
    spanId: random(8),
  };
}

async function dispatch(call) {
  const route = routeOf(call.path);
  if (!route) throw new Problem(404, "not_found", "no such path, or nothing under it");
  call.route = route.pattern;
  if (call.query.length > 4096) throw new Problem(400, "malformed_request", "the query is too long");
  const handler = route.methods[call.method];
  if (!handler) throw new Problem(405, "method_not_allowed", "this path takes other methods");
  return handler(call);
}

function allowOrigin({ request, env }, headers) {
  const setting = env.CORS_ORIGINS?.trim();
  if (!setting || headers.has("access-control-allow-origin")) return;
  headers.append("vary", "Origin");
  const origin = request.headers.get("origin");
  const allowed = setting === "*" || setting.split(",").some((one) => one.trim() === origin);
  if (origin && allowed) headers.set("access-control-allow-origin", setting === "*" ? "*" : origin);
}

function finish(call, response) {
  const { headers, status } = response;
  headers.set("x-request-id", call.requestId);
  headers.set("x-content-type-options", "nosniff");
  headers.set("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
  headers.set("referrer-policy", "no-referrer");
  if (call.site.startsWith("https://")) headers.set("strict-transport-security", "max-age=31536000");
  allowOrigin(call, headers);
  const milliseconds = Date.now() - call.begun;
  const origin = call.originMillis === undefined ? "" : `, origin;dur=${call.originMillis}`;
  headers.set("server-timing", `edge;dur=${milliseconds}${origin}`);
  console.log(
    JSON.stringify({
      level: status < 500 ? "info" : "error",
      message: "answered",
      method: call.method,
      route: call.route,
      status,
      milliseconds,
      origin_milliseconds: call.originMillis ?? null,
      request_id: call.requestId,
      trace_id: call.traceId,
      span_id: call.spanId,
      account: call.account ?? null,
      cache: headers.get("cache-status"),
    }),
  );
  return response;
}

export default {
  async fetch(request, env, context) {
    const call = takeApart(request, env, context);
    try {
      return finish(call, await dispatch(call));
    } catch (error) {
      if (!(error instanceof Problem)) console.error(error.stack);
      return finish(call, Problem.of(error).response(call.requestId));
    }
  },
};
