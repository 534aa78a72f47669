// Asking the origin, signed (RFC 9421).
import { sha256, toHex } from "./auth.js";
import { Problem } from "./problem.js";

const COVERED = '("@method" "@path" "@query" "content-digest" "darkroom-caller")';
const encoder = new TextEncoder();
const base64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
let secret;

async function readSecret(env) {
  const [id, text] = env.ORIGIN_SECRETS.split(",")[0].split(":");
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  return { id, key: await crypto.subtle.importKey("raw", encoder.encode(text), algorithm, false, ["sign"]) };
}

export async function askOrigin(call, method, path, caller, body = "") {
  secret ??= readSecret(call.env);
  const { id, key } = await secret;
  const digest = `sha-256=:${base64(await sha256(body))}:`;
  const nonce = toHex(crypto.getRandomValues(new Uint8Array(16)));
  const parameters = `${COVERED};created=${Math.floor(Date.now() / 1000)};nonce="${nonce}";keyid="${id}";alg="hmac-sha256"`;
  const base = [
    `"@method": ${method}`,
    `"@path": ${path}`,
    '"@query": ?',
    `"content-digest": ${digest}`,
    `"darkroom-caller": ${caller}`,
    `"@signature-params": ${parameters}`,
  ].join("\n");
  const signature = await crypto.subtle.sign("HMAC", key, encoder.encode(base));
  const headers = {
    "x-request-id": call.requestId,
    traceparent: `00-${call.traceId}-${call.spanId}-01`,
    "darkroom-caller": caller,
    "content-digest": digest,
    "signature-input": `darkroom=${parameters}`,
    signature: `darkroom=:${base64(signature)}:`,
    ...(body && { "content-type": "application/json" }),
  };
  const begun = Date.now();
  try {
    const init = { method, headers, body: body || undefined, redirect: "manual", cache: "no-store" };
    const signal = AbortSignal.timeout(Number(call.env.ORIGIN_TIMEOUT_SECONDS) * 1000);
    return await fetch(`${call.env.ORIGIN_URL}${path}`, { ...init, signal });
  } catch (error) {
    console.error(error.stack);
    throw new Problem(502, "origin_unreachable", "the origin cannot be reached; try again in a moment");
  } finally {
    call.originMillis = (call.originMillis ?? 0) + Date.now() - begun;
  }
}
