// What is asked, and in which words the table says so.
import { randomUUID } from "node:crypto";
import { API_KEY, sha256 } from "../tests/harness.mjs";
import { ECDSA, RSA, inSeconds, queryOf, secret, signed } from "../tests/signing.mjs";

/** What both workers are configured with. */
export const VARIABLES = {
  ORIGIN_URL: "http://origin.internal",
  ORIGIN_SECRETS: `bench:${"0".repeat(64)}`,
  ORIGIN_TIMEOUT_SECONDS: "15",
  ADMIN_KEY_SHA256: sha256(API_KEY),
  RATE_PER_MINUTE: "4000000000",
  DAILY_IMAGES: "4000000000",
  SIGNING_KEYS: secret(ECDSA, RSA),
};

const FILE = "generated/1700000000-01234567-89ab-4def-8123-456789abcdef.png";
const authorization = `Bearer ${API_KEY}`;
const recipe = JSON.stringify({ prompt: "a red circle on a blue background", seed: 7, steps: 20, task_id: "t" });
const posted = (path, body) => ({
  method: "POST",
  path,
  headers: { authorization, "content-type": "application/json", "content-length": Buffer.byteLength(body) },
  body,
});
const picture = (url, pair) => {
  const path = `/private/${FILE}`;
  return { path: `${path}?${queryOf(signed(url + path, { pair, expires: inSeconds(86_400) }))}` };
};

/** `of(url)` makes what is asked of the worker at that address. */
export const PATHS = [
  { name: "picture from the cache", count: 3000, of: () => () => ({ path: `/${FILE}` }) },
  { name: "… not modified", count: 3000, of: () => () => ({ path: `/${FILE}`, headers: { "if-none-match": '"abc"' }, status: 304 }) },
  { name: "signed URL fetched, ECDSA", count: 2000, of: (url) => always(picture(url, ECDSA)) },
  { name: "signed URL fetched, RSA", count: 2000, of: (url) => always(picture(url, RSA)) },
  { name: "signed URL made before", count: 2000, of: () => () => posted("/api/images/i/signed-url", "{}") },
  { name: "signed URL made, ECDSA", count: 1000, of: () => () => posted(`/api/images/${randomUUID()}/signed-url`, "{}") },
  { name: "finished recipe", count: 1000, of: () => () => posted("/api/media/generate-image", recipe) },
];

function always(request) {
  return () => request;
}
