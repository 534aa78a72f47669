import { Problem } from "./problem.js";

const encoder = new TextEncoder();
const BEARER = /^bearer +(dk_[0-9A-Za-z]{43})$/i;

export const toHex = (buffer) =>
  Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
export const sha256 = (data) =>
  crypto.subtle.digest("SHA-256", typeof data === "string" ? encoder.encode(data) : data);

/** The first admin key alone: others' records would be remembered in the isolate. */
export async function callerOf(call, scopes) {
  const digest = call.env.ADMIN_KEY_SHA256?.trim().toLowerCase() ?? "";
  if (!/^[0-9a-f]{64}$/.test(digest)) throw new Problem(503, "unavailable", "not configured");
  const [, key] = BEARER.exec(call.request.headers.get("authorization")) ?? [];
  const found = key && encoder.encode(toHex(await sha256(key)));
  if (!found || !crypto.subtle.timingSafeEqual(found, encoder.encode(digest))) {
    throw new Problem(401, "unauthorized", "send a valid API key as `Authorization: Bearer dk_…`");
  }
  const caller = { account: "admin", scopes: ["generate", "read", "posts:write", "admin"], ledger: "key:admin" };
  call.account = toHex(await sha256(caller.account)).slice(0, 16);
  if (!caller.scopes.some((scope) => scopes.includes(scope))) {
    throw new Problem(403, "forbidden", `this needs the scope ${scopes.join(" or ")}`);
  }
  return caller;
}
