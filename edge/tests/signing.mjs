// Signs and reads CloudFront's URLs with node's own cryptography, so that the edge is held against
// another reading of AWS's documentation.
import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const file = new URL("../../shared/fixtures/signed_urls.json", import.meta.url);
/** What AWS's own signers made; `scripts/fixtures/make_signed_urls.py` says how. */
export const vectors = JSON.parse(readFileSync(file, "utf8"));

export const [RSA, ECDSA] = [vectors.keys.rsa, vectors.keys.ecdsa];
/** A secret of these pairs, the first of which signs. */
export const secret = (...pairs) => pairs.map(({ id, pem }) => `${id}:${pem}`).join("");

const encode = (bytes) =>
  Buffer.from(bytes).toString("base64").replace(/[+=/]/g, (c) => ({ "+": "-", "=": "_", "/": "~" })[c]);
const decode = (text) =>
  Buffer.from(text.replace(/[-_~]/g, (c) => ({ "-": "+", _: "=", "~": "/" })[c]), "base64");

const policyOf = (resource, { expires, starts, ip }) => {
  const at = (seconds) => ({ "AWS:EpochTime": seconds });
  const Condition = { DateLessThan: at(expires) };
  if (ip) Condition.IpAddress = { "AWS:SourceIp": ip };
  if (starts) Condition.DateGreaterThan = at(starts);
  return JSON.stringify({ Statement: [{ Resource: resource, Condition }] });
};

/** Seconds from now, as policies have them. */
export const inSeconds = (seconds) => Math.floor(Date.now() / 1000) + seconds;

/** The parameters that sign a URL, or all that a pattern stands for. */
export function signed(url, { pair = ECDSA, hash = "SHA1", resource = url, expires = inSeconds(60), ...rest } = {}) {
  const policy = policyOf(resource, { expires, ...rest });
  const isCanned = resource === url && !rest.starts && !rest.ip;
  return {
    ...(isCanned ? { Expires: String(expires) } : { Policy: encode(policy) }),
    Signature: encode(sign(hash, Buffer.from(policy), createPrivateKey(pair.pem))),
    "Key-Pair-Id": pair.id,
    ...(hash === "SHA256" && { "Hash-Algorithm": hash }),
  };
}

export const queryOf = (parameters) =>
  Object.entries(parameters).map((pair) => pair.join("=")).join("&");

/** A signed URL, taken apart and found to be good: its policy and its parameters. */
export function check(url, pair) {
  const [resource, query] = url.split("?");
  const parameters = Object.fromEntries(query.split("&").map((one) => one.split("=")));
  return { ...checkParameters(resource, parameters, pair), resource };
}

/** The same of parameters, as cookies have them too. */
export function checkParameters(resource, parameters, pair) {
  const { Expires, Policy, Signature } = parameters;
  const text = Policy ? decode(Policy).toString() : policyOf(resource, { expires: Number(Expires) });
  const hash = parameters["Hash-Algorithm"] ?? "SHA1";
  const fits = verify(hash, Buffer.from(text), createPublicKey(pair.pem), decode(Signature));
  if (!fits) throw new Error(`the signature of ${resource} does not fit`);
  if (parameters["Key-Pair-Id"] !== pair.id) throw new Error(`signed by ${parameters["Key-Pair-Id"]}`);
  return { parameters, policy: JSON.parse(text).Statement[0] };
}
