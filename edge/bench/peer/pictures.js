import { Problem } from "./problem.js";
import { deliveryOf, pairsOf } from "./keys.js";
import { decode, policyText } from "./policy.js";
import { askOrigin } from "./origin.js";

const YEAR = "max-age=31536000, immutable";
const TYPES = { png: "image/png", webp: "image/webp", avif: "image/avif", jpg: "image/jpeg" };

export async function publicPicture(call) {
  const { mode, domain } = deliveryOf(call.env);
  if (mode === "redirect") return readable(redirect(`https://${domain}${call.path}`));
  return readable(await serve(call, `public, ${YEAR}`));
}

export async function privatePicture(call) {
  const presented = presentedOf(call);
  const pair = (await pairsOf(call.env)).find(({ id }) => id === presented.keyId);
  if (!pair || !(await pair.verifies(presented))) throw refused("the signature does not fit");
  judge(presented.policy, presented.address, call.request.headers.get("cf-connecting-ip"));
  const { mode, domain } = deliveryOf(call.env);
  if (mode === "redirect") return readable(redirect(`https://${domain}${call.path}`));
  return readable(await serve(call, `private, ${YEAR}`));
}

const redirect = (location) => new Response(null, { status: 302, headers: { location } });
const refused = (why) => new Problem(403, "signature_refused", why);

function presentedOf({ site, path, query }) {
  const found = {};
  const others = [];
  for (const pair of query.split("&").filter(Boolean)) {
    const [name, value = ""] = pair.split(/=(.*)/s, 2);
    if (!/^(Expires|Policy|Signature|Key-Pair-Id|Hash-Algorithm)$/.test(name)) others.push(pair);
    else if (name in found) throw refused("the signature cannot be read");
    else found[name] = value;
  }
  const { Expires, Policy, Signature, "Key-Pair-Id": keyId, "Hash-Algorithm": named = "SHA1" } = found;
  const hash = { SHA1: "SHA-1", SHA256: "SHA-256" }[named];
  if (!Signature || !keyId || !hash || !Expires === !Policy) throw refused("this address needs a signature");
  const address = `${site}${path}${others.length ? `?${others.join("&")}` : ""}`;
  try {
    const text = Policy ? new TextDecoder().decode(decode(Policy)) : policyText(address, Number(Expires));
    return { keyId, hash, address, text, signature: decode(Signature), policy: JSON.parse(text).Statement[0] };
  } catch {
    throw refused("the signature cannot be read");
  }
}

function judge({ Resource, Condition }, address, source) {
  const fits = (pattern, text) => {
    const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&");
    return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`).test(text);
  };
  const now = Math.floor(Date.now() / 1000);
  if (Resource !== address && !fits(Resource, address)) throw refused("the signature is for another address");
  if (now >= Condition.DateLessThan["AWS:EpochTime"]) throw refused("the signature has expired");
  if (now < (Condition.DateGreaterThan?.["AWS:EpochTime"] ?? 0)) throw refused("not yet");
  const network = Condition.IpAddress?.["AWS:SourceIp"];
  if (network && network !== `${source}/32`) throw refused("the signature is for another network");
}

async function serve(call, cacheControl) {
  const key = `${call.site}${call.path}`;
  const kept = await caches.default.match(key);
  if (kept) {
    if ((await call.env.RECIPES.get(`deleted:${call.path}`)) !== null) {
      throw new Problem(404, "not_found", "no such path, or nothing under it");
    }
    return part(call, new Headers(kept.headers), kept.body, "darkroom-edge; hit", cacheControl);
  }
  const answer = await askOrigin(call, "GET", call.path, "anonymous");
  const bytes = await answer.arrayBuffer();
  const type = TYPES[call.path.split(".").pop()];
  if (answer.status !== 200 || answer.headers.get("content-type") !== type) {
    throw new Problem(502, "origin_unreachable", "the origin cannot be reached");
  }
  const headers = new Headers({
    "content-type": type,
    "content-length": String(bytes.byteLength),
    "cache-control": `public, ${YEAR}`,
    "accept-ranges": "bytes",
    etag: answer.headers.get("etag") ?? `"${call.path.split("/").pop()}"`,
  });
  call.context.waitUntil(caches.default.put(key, new Response(bytes, { headers })));
  return part(call, new Headers(headers), bytes, "darkroom-edge; fwd=miss; stored", cacheControl);
}

async function part({ request, method }, headers, body, cacheStatus, cacheControl) {
  headers.set("cache-status", cacheStatus);
  headers.set("cache-control", cacheControl);
  const etag = headers.get("etag") ?? "";
  const length = Number(headers.get("content-length"));
  const weak = (tag) => tag.trim().replace(/^(W\/)+/, "");
  const [ifMatch, ifNoneMatch, ifRange] = ["if-match", "if-none-match", "if-range"].map((name) => request.headers.get(name));
  if (ifMatch && !ifMatch.split(",").some((tag) => ["*", etag].includes(tag.trim()))) {
    throw new Problem(412, "invalid_request", `If-Match must be the picture's tag, ${etag}`);
  }
  if (ifNoneMatch?.split(",").some((tag) => ["*", weak(etag)].includes(weak(tag)))) {
    return new Response(null, { status: 304, headers });
  }
  const range = method === "GET" && (!ifRange || ifRange === etag) ? request.headers.get("range") : null;
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(range) ?? [];
  if (!from && !to) return new Response(method === "HEAD" ? null : body, { headers });
  const first = from ? Number(from) : Math.max(0, length - Number(to));
  const last = Math.min(from && to ? Number(to) : length - 1, length - 1);
  if (first > last) throw new Problem(416, "invalid_request", "Range must begin within the picture");
  headers.set("content-range", `bytes ${first}-${last}/${length}`);
  headers.set("content-length", String(last - first + 1));
  const bytes = await new Response(body).arrayBuffer();
  return new Response(bytes.slice(first, last + 1), { status: 206, headers });
}

function readable(response) {
  response.headers.set("access-control-allow-origin", "*");
  response.headers.set("access-control-expose-headers", "*");
  response.headers.set("cross-origin-resource-policy", "cross-origin");
  return response;
}
