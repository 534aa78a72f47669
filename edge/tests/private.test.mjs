import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { get } from "node:http";
import test, { beforeEach, describe } from "node:test";
import { LIMIT, problem, useEdge } from "./harness.mjs";
import { json, refuse } from "./origin.mjs";
import { ECDSA, RSA, check, checkParameters, inSeconds, queryOf, secret, signed, vectors } from "./signing.mjs";

const PNG = randomBytes(10_000);
const MADE = "1700000000-01234567-89ab-cdef-0123-456789abcdef.png";

/** A private picture that no test has asked for before. */
const fresh = () => `/private/generated/1700000000-${randomUUID()}.png`;

function answerPictures(edge) {
  edge.origin.requests.length = 0;
  edge.origin.answer = (request, response) =>
    response.writeHead(200, { "content-type": "image/png", "content-length": PNG.length, etag: '"abc"' }).end(PNG);
}

const image = (visibility = "private", n = 1) => ({
  id: `i${n}`,
  url: `http://origin.test/private/generated/${MADE}`,
  key: `${visibility === "private" ? "private/" : ""}generated/${MADE}`,
  width: 64,
  height: 64,
  content_type: "image/png",
  bytes: 1,
  sha256: "0".repeat(64),
  seed: n,
  visibility,
});

describe("a private picture", () => {
  const edge = useEdge({ bindings: { SIGNING_KEYS: secret(ECDSA, RSA) } });
  beforeEach(() => answerPictures(edge));

  const ask = (path, options, init = {}) =>
    edge.fetch(`${path}?${queryOf(signed(edge.url + path, options))}`, { key: null, ...init });

  test("is handed out to who has a signature, and is theirs alone to keep", LIMIT, async () => {
    for (const options of [
      {},
      { hash: "SHA256" },
      { pair: RSA },
      { pair: RSA, hash: "SHA256" },
      { starts: inSeconds(-60) },
      { ip: "127.0.0.1/32" },
      { ip: "127.0.0.0/8", starts: inSeconds(-60), pair: RSA, hash: "SHA256" },
      { resource: `${edge.url}/private/*` },
      { resource: "http*://*/generated/????????0?-*.png" },
    ]) {
      const path = fresh();
      const response = await ask(path, options);
      assert.equal(response.status, 200, JSON.stringify(options));
      assert.equal(response.headers.get("cache-control"), "private, max-age=31536000, immutable");
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      assert.equal(response.headers.get("etag"), '"abc"');
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(PNG));
      const { method, url, headers } = edge.origin.takeOne();
      assert.deepEqual([method, url, headers["darkroom-caller"]], ["GET", path, "anonymous"]);
    }
  });

  test("is kept here for whoever comes with a signature, and for nobody else", LIMIT, async () => {
    const path = fresh();
    for (;;) {
      const response = await ask(path, { expires: inSeconds(60 + Math.floor(Math.random() * 1000)) });
      await response.arrayBuffer();
      if (response.headers.get("cache-status") !== "darkroom-edge; hit") continue;
      assert.equal(response.headers.get("cache-control"), "private, max-age=31536000, immutable");
      break;
    }
    edge.origin.requests.length = 0;
    for (const query of ["", "?x=1"]) {
      await problem(await edge.fetch(path + query, { key: null }), 403, "signature_refused");
    }
    const part = await ask(path, {}, { headers: { range: "bytes=0-9" } });
    assert.equal(part.status, 206);
    const known = await ask(path, {}, { headers: { "if-none-match": '"abc"' } });
    assert.equal(known.status, 304);
    const head = await ask(path, {}, { method: "HEAD" });
    assert.equal(head.headers.get("content-length"), String(PNG.length));
    assert.equal(edge.origin.requests.length, 0);
  });

  test("is refused in the same words whether it is there or not", LIMIT, async () => {
    edge.origin.answer = (request, response) => refuse(request, response, 404, "not_found");
    const path = fresh();
    const good = signed(edge.url + path);
    const other = (character) => (character === "A" ? "B" : "A");
    const mangled = { ...good, Signature: good.Signature.replace(/(?<=^.{40})./, other) };
    const foreign = { ...RSA, id: "KOTHER" };
    for (const [query, reason] of [
      ["", /needs a signature/],
      ["x=1", /needs a signature/],
      [queryOf({ ...good, Expires: undefined }), /does not fit|cannot be read/],
      ["Expires=5", /cannot be read/],
      [queryOf(mangled), /does not fit/],
      [queryOf({ ...good, Expires: inSeconds(1000) }), /does not fit/],
      [queryOf({ ...good, "Key-Pair-Id": RSA.id }), /does not fit/],
      [queryOf({ ...good, "Hash-Algorithm": "SHA256" }), /does not fit/],
      [`${queryOf(good)}&size=large`, /does not fit/],
      [queryOf(signed(edge.url + path, { pair: foreign })), /does not fit/],
      [queryOf(signed(edge.url + fresh())), /does not fit/],
      [queryOf(signed(`https://elsewhere.test${path}`)), /does not fit/],
      [queryOf(signed(edge.url + path, { expires: inSeconds(-1) })), /has expired/],
      [queryOf(signed(edge.url + path, { starts: inSeconds(60) })), /not yet valid/],
      [queryOf(signed(edge.url + path, { ip: "192.0.2.0/24" })), /another IP address/],
      [queryOf(signed(edge.url + path, { resource: `${edge.url}/generated/*` })), /another address/],
    ]) {
      const response = await edge.fetch(`${path}?${query}`, { key: null });
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      const { detail } = await problem(response, 403, "signature_refused");
      assert.match(detail, reason, query);
    }
    assert.equal(edge.origin.requests.length, 0);
    await problem(await ask(path), 404, "not_found");
  });

  test("is not to be had with a key alone, nor where public ones are", LIMIT, async () => {
    const path = fresh();
    await problem(await edge.fetch(path), 403, "signature_refused");
    edge.origin.answer = (request, response) => refuse(request, response, 404, "not_found");
    await problem(await edge.fetch(path.replace("/private", "")), 404, "not_found");
    assert.equal(edge.origin.takeOne().url, path.replace("/private", ""));
  });

  test("is handed out for what AWS's own signers made", LIMIT, async () => {
    const ours = vectors.cases.filter(({ resource }) => resource.startsWith("http://127.0.0.1:8787/"));
    assert.equal(ours.length, 4);
    const { port } = new URL(edge.url);
    for (const { hash, botocore, aws_sdk } of ours) {
      // botocore leaves it to its caller to name the digest.
      const named = hash === "SHA256" ? `${botocore}&Hash-Algorithm=SHA256` : botocore;
      for (const url of [named, aws_sdk]) {
        const path = url.slice("http://127.0.0.1:8787".length);
        const request = get({ port, path, headers: { host: "127.0.0.1:8787" } });
        const [response] = await once(request, "response");
        assert.equal(response.statusCode, 200, url);
        response.resume();
        await once(response, "end");
      }
    }
  });
});

describe("private images in answers", () => {
  const edge = useEdge({ bindings: { SIGNING_KEYS: secret(ECDSA, RSA) } });
  beforeEach(() => edge.origin.requests.splice(0));

  const answers = (body, status = 200) => {
    edge.origin.answer = (request, response) => json(response, status, body);
  };

  const isSigned = ({ url, expires_at, key, ...rest }) => {
    const { policy, parameters } = check(url, ECDSA);
    assert.equal(policy.Resource, `${edge.url}/${key}`);
    const end = Number(parameters.Expires);
    assert.equal(new Date(expires_at).getTime(), end * 1000);
    assert.equal(end % 900, 0);
    assert.ok(end >= inSeconds(3590) && end <= inSeconds(3600 + 900));
    const { url: _, key: __, ...expected } = image();
    assert.deepEqual({ ...rest, id: "i1", seed: 1 }, expected);
  };

  test("have a signed URL and its end, everywhere", LIMIT, async () => {
    const job = { id: "j", status: "succeeded", images: [image(), image("private", 2)], recipe: {} };
    answers({ job, images: job.images, image_url: job.images[0].url, cached: false, newer: { kept: 1 } });
    const generated = await (await edge.generate({ prompt: "p", visibility: "private" })).json();
    [...generated.job.images, ...generated.images].forEach(isSigned);
    assert.equal(generated.image_url, generated.images[0].url);
    assert.deepEqual(generated.newer, { kept: 1 });

    answers(job);
    (await (await edge.fetch("/api/jobs/j")).json()).images.forEach(isSigned);
    answers(image());
    isSigned(await (await edge.fetch("/api/images/i1")).json());
    answers({ items: [job, job], next_cursor: null });
    (await (await edge.fetch("/api/jobs")).json()).items.flatMap(({ images }) => images).forEach(isSigned);
  });

  test("have signed copies, and the choice between them", LIMIT, async () => {
    const copy = (width, type = "webp") => ({
      url: `http://origin.test/private/generated/${MADE.replace(".png", `-w${width}.${type}`)}`,
      key: `private/generated/${MADE.replace(".png", `-w${width}.${type}`)}`,
      width,
      height: width,
      content_type: `image/${type}`,
      newer: 1,
    });
    const copies = [copy(16), copy(16, "avif"), copy(32)];
    const shown = { ...image(), variants: copies };
    answers({ job: { images: [shown] }, images: [shown], image_url: shown.url });
    const generated = await (await edge.fetch("/api/jobs/j")).json();
    for (const { url, variants, srcset } of [...generated.images, ...generated.job.images]) {
      for (const [at, variant] of variants.entries()) {
        const { url, ...rest } = variant;
        const { url: _, ...expected } = copies[at];
        assert.deepEqual(rest, expected);
        assert.equal(check(url, ECDSA).policy.Resource, `${edge.url}/${variant.key}`);
      }
      assert.equal(srcset, `${variants[0].url} 16w, ${variants[2].url} 32w, ${url} 64w`);
    }
    answers({ ...shown, width: "sixty-four" });
    const odd = await (await edge.fetch("/api/images/i1")).json();
    check(odd.variants[0].url, ECDSA);
    assert.equal(odd.srcset, undefined);
  });

  test("have URLs that work", LIMIT, async () => {
    answers(image());
    const { url } = await (await edge.fetch("/api/images/i1")).json();
    answerPictures(edge);
    const picture = await fetch(url);
    assert.equal(picture.status, 200);
    assert.ok(Buffer.from(await picture.arrayBuffer()).equals(PNG));
  });

  test("are the only thing that is changed", LIMIT, async () => {
    for (const body of [
      `{ "url":"x",  "visibility":"public","key":"generated/${MADE}","prompt":"private" }`,
      `{ "task_id": "private" }`,
      `{ "visibility": "private",  "prompt": "a recipe, and no image" }`,
    ]) {
      edge.origin.answer = (request, response) =>
        response.writeHead(200, { "content-type": "application/json" }).end(body);
      assert.equal(await (await edge.fetch("/api/jobs/j")).text(), body);
    }
  });
});

describe("private images in events", () => {
  const edge = useEdge({ bindings: { SIGNING_KEYS: secret(ECDSA) } });
  const decoder = new TextDecoder();
  let stream;
  let closed;

  beforeEach(() => {
    edge.origin.answer = (request, response) => {
      const headers = { "content-type": "text/event-stream", "darkroom-visibility": "private" };
      response.writeHead(200, headers).flushHeaders();
      stream = response;
      closed = once(response, "close");
    };
  });

  test("have signed URLs, and each event comes when it is sent", LIMIT, async () => {
    const response = await edge.fetch("/api/jobs/j/events");
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    assert.equal(response.headers.get("darkroom-visibility"), null);
    const reader = response.body.getReader();
    const read = async () => decoder.decode((await reader.read()).value);
    for (const event of ["id: 1\nevent: queued\ndata: {}\n\n", ": still there\n\n", "data: private\n\n"]) {
      stream.write(event);
      assert.equal(await read(), event);
    }
    const data = JSON.stringify({ status: "succeeded", images: [image(), image("private", 2)] });
    const event = `id: 3\nevent: succeeded\ndata: ${data}\n\n`;
    // In parts, as a network might have it.
    for (const part of event.match(/[^]{1,100}/g)) await new Promise((sent) => stream.write(part, sent));
    let text = "";
    while (!text.endsWith("\n\n")) text += await read();
    const [, json] = /^id: 3\nevent: succeeded\ndata: (.*)\n\n$/.exec(text);
    const { images, status } = JSON.parse(json);
    assert.equal(status, "succeeded");
    assert.equal(images.length, 2);
    for (const { url, expires_at } of images) {
      assert.equal(Date.parse(expires_at), check(url, ECDSA).parameters.Expires * 1000);
    }
    stream.end("data: cut off");
    assert.equal(await read(), "data: cut off");
    assert.equal((await reader.read()).done, true);
  });

  test("end with their reader, at the origin's next word", LIMIT, async () => {
    const leave = new AbortController();
    const response = await edge.fetch("/api/jobs/j/events", { signal: leave.signal });
    const speaking = setInterval(() => stream.write(": still there\n\n"), 10);
    closed.then(() => clearInterval(speaking));
    await response.body.getReader().read();
    leave.abort();
    await closed;
  });
});

describe("a signed URL on request", () => {
  const edge = useEdge({ bindings: { SIGNING_KEYS: secret(ECDSA, RSA) } });
  beforeEach(() => {
    edge.origin.requests.length = 0;
    edge.origin.answer = (request, response) => json(response, 200, image());
  });

  const signedUrl = (body, init) => edge.post("/api/images/i1/signed-url", body, init);

  test("is canned where nothing in particular is asked for", LIMIT, async () => {
    for (const body of [undefined, {}, { expires_in: null }]) {
      const response = await signedUrl(body);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("cache-control"), "no-store");
      const { url, expires_at, ...rest } = await response.json();
      assert.deepEqual(rest, {});
      const { parameters, resource } = check(url, ECDSA);
      assert.deepEqual(Object.keys(parameters), ["Expires", "Signature", "Key-Pair-Id"]);
      assert.equal(resource, `${edge.url}/private/generated/${MADE}`);
      assert.equal(new Date(expires_at).getTime(), parameters.Expires * 1000);
      const { method, url: asked, body: sent, headers } = edge.origin.takeOne();
      assert.deepEqual([method, asked, sent], ["GET", "/api/images/i1", ""]);
      assert.equal(headers["darkroom-caller"], "admin");
    }
  });

  test("says what was asked for", LIMIT, async () => {
    const starts_at = new Date((inSeconds(100)) * 1000).toISOString();
    const body = { expires_in: 4, ip: "192.0.2.7", starts_at };
    const { url, expires_at } = await (await signedUrl(body)).json();
    const { policy, parameters } = check(url, ECDSA);
    assert.deepEqual(Object.keys(parameters), ["Policy", "Signature", "Key-Pair-Id"]);
    const starts = Date.parse(starts_at) / 1000;
    assert.deepEqual(policy.Condition, {
      DateLessThan: { "AWS:EpochTime": starts + 4 },
      IpAddress: { "AWS:SourceIp": "192.0.2.7/32" },
      DateGreaterThan: { "AWS:EpochTime": starts },
    });
    assert.equal(Date.parse(expires_at), (starts + 4) * 1000);
    await problem(await fetch(url), 403, "signature_refused");

    const short = await (await signedUrl({ expires_in: 1 })).json();
    assert.ok(Date.parse(short.expires_at) <= Date.now() + 2000);
    const six = await (await signedUrl({ ip: "2001:db8::/32" })).json();
    assert.equal(check(six.url, ECDSA).policy.Condition.IpAddress["AWS:SourceIp"], "2001:db8::/32");
  });

  test("is the same URL for a while", LIMIT, async () => {
    const ask = async () => (await (await signedUrl({ expires_in: 604_800 })).json()).url;
    const url = await ask();
    const other = await ask();
    // Once in a quarter of an hour a window ends in between.
    assert.ok(url === other || other === (await ask()));
  });

  test("is refused for what cannot be", LIMIT, async () => {
    const body = { expires_in: 604_801, ip: "here", starts_at: "soon", colour: "red" };
    const { errors } = await problem(await signedUrl(body), 422, "invalid_request");
    assert.deepEqual(errors.map(({ field }) => field).sort(), ["colour", "expires_in", "ip", "starts_at"]);
    await problem(await signedUrl("{"), 400, "malformed_request");
    assert.equal(edge.origin.requests.length, 0);
    await problem(await signedUrl({}, { key: null }), 401, "unauthorized");

    edge.origin.answer = (request, response) => json(response, 200, image("public"));
    const { detail } = await problem(await signedUrl({}), 422, "invalid_request");
    assert.match(detail, /public/);
    edge.origin.answer = (request, response) => refuse(request, response, 404, "not_found");
    await problem(await signedUrl({}), 404, "not_found");
  });
});

describe("cookies for a gallery", () => {
  const edge = useEdge({ bindings: { SIGNING_KEYS: secret(RSA, ECDSA), SIGNING_HASH: "sha256" } });
  beforeEach(() => answerPictures(edge));

  test("open every private picture, until they end", LIMIT, async () => {
    const response = await edge.post("/api/signed-cookies", { expires_in: 600 });
    assert.equal(response.status, 200);
    const { cookies, resource, expires_at } = await response.json();
    assert.equal(resource, `${edge.url}/private/generated/*`);
    const plain = Object.entries(cookies).map(([name, value]) => [name.replace("CloudFront-", ""), value]);
    const { policy } = checkParameters(resource, Object.fromEntries(plain), RSA);
    assert.equal(policy.Resource, resource);
    assert.equal(policy.Condition.DateLessThan["AWS:EpochTime"] * 1000, Date.parse(expires_at));
    const set = response.headers.getSetCookie();
    const pairs = set.map((one) => one.split(";")[0].split("="));
    assert.deepEqual(Object.fromEntries(pairs), cookies);
    for (const one of set) assert.match(one, /; Path=\/private; Max-Age=\d+; HttpOnly; SameSite=Lax$/);

    const cookie = pairs.map((pair) => pair.join("=")).join("; ");
    for (const path of [fresh(), `${fresh()}?size=1`]) {
      const picture = await edge.fetch(path, { key: null, headers: { cookie } });
      assert.equal(picture.status, 200);
      assert.equal(picture.headers.get("cache-control"), "private, max-age=31536000, immutable");
    }
    const other = cookie.replace(/CloudFront-Policy=..../, "CloudFront-Policy=AAAA");
    const refused = await edge.fetch(fresh(), { key: null, headers: { cookie: other } });
    await problem(refused, 403, "signature_refused");
    // A signature in the URL counts alone.
    const expired = `?${queryOf(signed(edge.url + fresh(), { expires: inSeconds(-1) }))}`;
    const both = await edge.fetch(fresh() + expired, { key: null, headers: { cookie } });
    await problem(both, 403, "signature_refused");
  });

  test("are for admins alone: they show everybody's pictures", LIMIT, async () => {
    const { key } = await edge.newKey({ scopes: ["generate", "read"] });
    await problem(await edge.post("/api/signed-cookies", {}, { key }), 403, "forbidden");
  });
});
