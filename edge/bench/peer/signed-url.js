import { parseObject, readBody } from "./body.js";
import { deliveryOf, pairsOf } from "./keys.js";
import { askOrigin } from "./origin.js";
import { encode, policyText } from "./policy.js";
import { Problem } from "./problem.js";

const urls = new Map();

export async function signedUrl(call, caller) {
  const { env } = call;
  const [first] = await pairsOf(env);
  const settings = lifetimesOf(env);
  const text = await readBody(call, 4096);
  const { expires_in = settings.default, ...rest } = text ? parseObject(text) : {};
  const isWhole = Number.isSafeInteger(expires_in) && expires_in >= 1 && expires_in <= settings.most;
  if (!isWhole || Object.keys(rest).length > 0) {
    throw new Problem(422, "invalid_request", "expires_in must be a whole number, alone");
  }
  const answer = await askOrigin(call, "GET", call.path.slice(0, -"/signed-url".length), caller.account);
  const image = await answer.json();
  if (answer.status !== 200 || image.visibility !== "private") {
    throw new Problem(422, "invalid_request", "the image is public: its url needs no signature");
  }
  const { mode, domain } = deliveryOf(env);
  const resource = `${mode === "cloudfront" ? `https://${domain}` : call.site}/${image.key}`;
  const step = Math.max(1, Math.min(settings.window, Math.floor(expires_in / 4)));
  const expires = Math.ceil((Math.floor(Date.now() / 1000) + expires_in) / step) * step;
  const url = await urlOf(first, settings.hash, resource, expires);
  const expires_at = new Date(expires * 1000).toISOString();
  return Response.json({ url, expires_at }, { headers: { "cache-control": "no-store" } });
}

/** The same for as long as the isolate remembers: the platform's signatures are others each time. */
async function urlOf(pair, hash, resource, expires) {
  const policy = policyText(resource, expires);
  const known = urls.get(policy);
  if (known) return known;
  const signature = encode(await pair.sign(hash, policy));
  const algorithm = hash === "SHA-256" ? "&Hash-Algorithm=SHA256" : "";
  const url = `${resource}?Expires=${expires}&Signature=${signature}&Key-Pair-Id=${pair.id}${algorithm}`;
  if (urls.size >= 2000) urls.delete(urls.keys().next().value);
  urls.set(policy, url);
  return url;
}

function lifetimesOf(env) {
  const whole = (name, otherwise) => Number(env[name]?.trim() || otherwise);
  return {
    default: whole("SIGNED_URL_SECONDS", 3600),
    most: whole("SIGNED_URL_MAX_SECONDS", 604_800),
    window: whole("SIGNED_URL_WINDOW_SECONDS", 900),
    hash: env.SIGNING_HASH?.trim() === "sha256" ? "SHA-256" : "SHA-1",
  };
}
