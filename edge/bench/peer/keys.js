// Key pairs, by the platform's cryptography: read and imported once in each isolate.
import { Problem } from "./problem.js";

const EC = { name: "ECDSA", namedCurve: "P-256" };
const RSA = { name: "RSASSA-PKCS1-v1_5" };
const HASHES = ["SHA-1", "SHA-256"];
const encoder = new TextEncoder();
let pairs;

export function deliveryOf(env) {
  const [mode, domain] = [env.DELIVERY?.trim(), env.CLOUDFRONT_DOMAIN?.trim()];
  if (domain && !/^[\w.-]+$/.test(domain)) throw new Problem(503, "unavailable", "not configured");
  if (domain) return { mode: mode || "cloudfront", domain };
  if (mode && mode !== "proxy") throw new Problem(503, "unavailable", "not configured");
  return { mode: "proxy" };
}

export function pairsOf(env) {
  pairs ??= Promise.all(
    [...env.SIGNING_KEYS.matchAll(/([\w-]+): *-----BEGIN PRIVATE KEY-----([^-]+)-----END PRIVATE KEY-----/g)].map(
      ([, id, body]) => read(id, Uint8Array.from(atob(body.replace(/\s/g, "")), (c) => c.charCodeAt(0))),
    ),
  );
  return pairs;
}

async function read(id, pkcs8) {
  // `ecPublicKey`: all others are RSA here.
  const isEc = toBinary(pkcs8).includes("\x2a\x86\x48\xce\x3d\x02\x01");
  const imported = await Promise.all(HASHES.map((hash) => importPair(isEc ? EC : RSA, hash, pkcs8)));
  const keys = Object.fromEntries(HASHES.map((hash, at) => [hash, imported[at]]));
  return {
    id,
    async sign(hash, text) {
      const algorithm = isEc ? { ...EC, hash } : RSA;
      const made = new Uint8Array(await crypto.subtle.sign(algorithm, keys[hash].privateKey, encoder.encode(text)));
      return isEc ? toDer(made) : made;
    },
    verifies({ hash, signature, text }) {
      const algorithm = isEc ? { ...EC, hash } : RSA;
      const raw = isEc ? fromDer(signature) : signature;
      return raw && crypto.subtle.verify(algorithm, keys[hash].publicKey, raw, encoder.encode(text));
    },
  };
}

async function importPair(algorithm, hash, pkcs8) {
  const named = { ...algorithm, hash };
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, named, true, ["sign"]);
  const { kty, crv, x, y, n, e } = await crypto.subtle.exportKey("jwk", privateKey);
  const jwk = kty === "EC" ? { kty, crv, x, y } : { kty, n, e };
  return { privateKey, publicKey: await crypto.subtle.importKey("jwk", jwk, named, false, ["verify"]) };
}

const toBinary = (bytes) => String.fromCharCode(...bytes);

/** r and s, one behind the other, as DER. */
function toDer(raw) {
  const integer = (bytes) => {
    let from = 0;
    while (from < bytes.length - 1 && bytes[from] === 0) from += 1;
    const sign = bytes[from] > 127 ? [0] : [];
    return [2, bytes.length - from + sign.length, ...sign, ...bytes.subarray(from)];
  };
  const both = [...integer(raw.subarray(0, 32)), ...integer(raw.subarray(32))];
  return Uint8Array.from([48, both.length, ...both]);
}

function fromDer(der) {
  const raw = new Uint8Array(64);
  let at = 2;
  for (const end of [32, 64]) {
    const length = der[at + 1];
    const number = der.subarray(at + 2, at + 2 + length);
    const trimmed = number[0] === 0 ? number.subarray(1) : number;
    if (der[at] !== 2 || trimmed.length > 32) return null;
    raw.set(trimmed, end - trimmed.length);
    at += 2 + length;
  }
  return at === der.length ? raw : null;
}
